import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { parseLsn } from "../src/lsn.ts";
import { parseMarkDetail } from "../src/mark-detail.ts";
import { whereItStopped } from "../src/recovery-report.ts";
import { type RecoveryTarget, recoveryMark } from "../src/recovery-target.ts";

const base = {
  timeline: 1,
  start: parseLsn("0/2000028"),
  end: parseLsn("0/2000100"),
  segmentBytes: 1 << 24,
  settings: {},
  preload: [],
  tablespaces: [],
  database: "postgres",
  bootstrapUser: "postgres",
};

async function stopped(target: RecoveryTarget, said: string): Promise<string> {
  await using directory = await temporaryDirectory("report");
  const log = join(directory.path, "log");
  await writeFile(
    log,
    `2027-01-31 12:00:00 UTC [7] LOG:  ${said}\n2027-01-31 12:00:00 UTC [7] LOG:  redo done at 0/315A7E8\n`,
  );
  const mark = recoveryMark(base, { target, timeline: 1, until: parseLsn("0/4000000") }, "cut");
  return await whereItStopped(log, parseMarkDetail(mark));
}

test("a place inside of a record, or at the head of a page, is reached at the first record that does not begin before it", async () => {
  const at = parseLsn("0/315A000");
  const before = 'recovery stopping before WAL location (LSN) "0/315A820"';
  expect(await stopped({ by: "lsn", at }, before)).toBe(before);
  const after = 'recovery stopping after WAL location (LSN) "0/315A018"';
  expect(await stopped({ by: "lsn", at, inclusive: true }, after)).toBe(after);
});

test.each([
  ["before it", { by: "lsn", at: parseLsn("0/315A000") }, 'recovery stopping before WAL location (LSN) "0/3159FF8"'],
  [
    "on its other side",
    { by: "lsn", at: parseLsn("0/315A000") },
    'recovery stopping after WAL location (LSN) "0/315A820"',
  ],
  ["by another name", { by: "name", name: "p" }, 'recovery stopping at restore point "q", time 2027-01-31'],
] as const)("a server that stopped %s has opened the wrong data", async (_, target, said) => {
  await expect(stopped(target, said)).rejects.toMatchObject({
    why: expect.stringContaining("did not stop at the mark"),
  });
});
