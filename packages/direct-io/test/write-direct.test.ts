import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeDirect } from "../src/write-direct.ts";

const KIB = 1024;
/** Bytes of which no two pages are alike. */
function noise(length: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 32) parts.push(createHash("sha256").update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

// The second is memory: what it makes of a direct write differs from kernel to kernel.
describe.each([tmpdir(), "/dev/shm"])("a direct write below %s", (parent) => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(parent, "stillpoint-direct-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it.each([
    ["nothing", 0, 0],
    ["a few bytes", 7, 11],
    ["whole pages", 8 * KIB, 3 * 1024 * KIB],
    ["from within a page to within a page", 5_000, 3 * 1024 * KIB + 777],
    ["just short of a direct part", 1, 260 * KIB],
    ["past the end of the file", 10 * 1024 * KIB + 3, 600 * KIB],
  ])("puts %s where it belongs and touches nothing else", (name, at, length) => {
    const path = join(directory, `${at}-${length}`);
    const before = noise(5 * 1024 * KIB + 99, "before");
    const bytes = noise(length, name);
    const fd = openSync(path, "w");
    try {
      writeDirect(fd, before, 0);
      writeDirect(fd, bytes, at);
    } finally {
      closeSync(fd);
    }
    const expected = Buffer.alloc(length === 0 ? before.length : Math.max(before.length, at + length));
    before.copy(expected);
    bytes.copy(expected, at);
    expect(readFileSync(path).equals(expected)).toBe(true);
  });

  it("tells what cannot be written", () => {
    const fd = openSync("/dev/full", "r+");
    try {
      expect(() => writeDirect(fd, noise(1024 * KIB, "lost"), 0)).toThrow(/ENOSPC/);
    } finally {
      closeSync(fd);
    }
  });
});
