import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { LogPiece } from "@stillpoint/driver/recover";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { laySegment } from "../src/archive/lay-file.ts";
import { servedLog } from "../src/archive/served-log.ts";
import { logRangeOf } from "../src/log-position.ts";

const SEGMENT = 1 << 20;
const start = BigInt(7 * SEGMENT);

const tail = (from: number, to: number): LogPiece => ({
  type: "tail",
  range: logRangeOf(1, start + BigInt(from), start + BigInt(to)),
  read: async () => Buffer.alloc(to - from, from % 251),
});

async function laid(pieces: readonly LogPiece[]): Promise<Buffer> {
  await using directory = await temporaryDirectory("lay-segment");
  const { segments } = servedLog({ stream: "", from: "", to: "" }, pieces, SEGMENT);
  const segment = segments.get("000000010000000000000007");
  if (segment === undefined) throw new Error("there is no such segment");
  expect(await laySegment(segment, join(directory.path), SEGMENT)).toContain(segment.name);
  return await readFile(join(directory.path, "pg_wal", segment.name));
}

test("a segment's pieces lie one behind the other, also where they overlap, and zeros stand behind them", async () => {
  const file = await laid([tail(0, 1_000), tail(900, 2_000), tail(2_000, 3_000)]);
  const bytes = (from: number, to: number) => Buffer.alloc(to - from, from % 251);
  const whole = [
    bytes(0, 1_000).subarray(0, 900),
    bytes(900, 2_000),
    bytes(2_000, 3_000),
    Buffer.alloc(SEGMENT - 3_000),
  ];
  expect(file.equals(Buffer.concat(whole))).toBe(true);
});

test("a piece that adds nothing, of a shipper whose place was taken, cuts nothing off", async () => {
  const file = await laid([tail(0, 1_000), tail(500, 3_000), tail(600, 1_500), tail(3_000, 4_000)]);
  const bytes = (from: number, to: number) => Buffer.alloc(to - from, from % 251);
  const whole = [
    bytes(0, 1_000).subarray(0, 500),
    bytes(500, 3_000),
    bytes(3_000, 4_000),
    Buffer.alloc(SEGMENT - 4_000),
  ];
  expect(file.equals(Buffer.concat(whole))).toBe(true);
});

test.each([
  ["before its first piece", [tail(1_000, 2_000)], "0/700000 to 0/7003E8"],
  ["between its pieces", [tail(0, 1_000), tail(1_500, 2_000)], "0/7003E8 to 0/7005DC"],
])("a segment with a hole %s is given to nobody: PostgreSQL would open at the zeros in it", async (_, pieces, hole) => {
  await expect(laid(pieces)).rejects.toMatchObject({ code: "LOG_GAP", why: expect.stringContaining(hole) });
});
