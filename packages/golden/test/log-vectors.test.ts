import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gapId, shippedBackupId } from "@stillpoint/contracts/log";
import { Secret } from "@stillpoint/contracts/secret";
import { memoryStore } from "@stillpoint/object-store/memory";
import { openRepository } from "@stillpoint/repository/repository";
import { preparePython, RESTORE_PY } from "@stillpoint/testkit/restore-py";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type LogVectors, makeLogVectors, readFor } from "../src/log-vectors.ts";
import { LOG_VECTORS } from "../src/places.ts";

let directory: TemporaryDirectory;
let frozen: LogVectors;
beforeEach(async () => {
  directory = await temporaryDirectory("log-vectors");
  frozen = JSON.parse(await readFile(LOG_VECTORS, "utf8"));
});
afterEach(() => directory[Symbol.asyncDispose]());

test("what a shipped log was stored as is found, read and laid by this release as it was written down", async () => {
  const now = () => Date.parse("2026-01-02T03:04:05.678Z");
  const objects = Object.entries(frozen.objects).map(
    ([name, text]) => [name, { bytes: new Uint8Array(Buffer.from(text, "base64")), modifiedMs: now() }] as const,
  );
  const store = memoryStore(now, new Map(objects));
  await using repository = await openRepository(store, { passphrase: new Secret(frozen.passphrase), threads: 0, now });
  expect((await repository.check({ readData: true })).problems).toEqual([]);
  for (const { gap, recordId } of frozen.gaps) expect(gapId(gap)).toBe(recordId);
  const { gaps } = await repository.sourceLog({ plan: "shop", source: "orders" });
  expect(new Set(gaps)).toEqual(new Set(frozen.gaps.map(({ gap }) => gap)));
  for (const { of, range, backupId } of frozen.ids) expect(shippedBackupId(of, range)).toBe(backupId);
  for (const [n, read] of frozen.reads.entries()) {
    const { source, base, place } = read;
    const found = await readFor(repository, { source, base, place }, join(directory.path, String(n)));
    expect(found).toEqual(read);
  }
});

test("this release makes the same of them, but for what a compressor makes of bytes", async () => {
  const { objects: made, ...rest } = await makeLogVectors(directory.path);
  const { objects, ...others } = frozen;
  expect(rest).toEqual(others);
  const named = (of: LogVectors["objects"]) => Object.keys(of).filter((name) => !/^(packs|index)\//.test(name));
  expect(named(made)).toEqual(named(objects));
});

test("the second implementation finds, reads and lays the same", async () => {
  const run = await preparePython();
  const program = fileURLToPath(new URL("log-vectors.py", import.meta.url));
  expect(await run(program, [RESTORE_PY, LOG_VECTORS])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d{2,} vectors fit\n$/),
    stderr: "",
  });
}, 300_000);
