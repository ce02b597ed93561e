import { createHash } from "node:crypto";
import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileWriter } from "../src/file-writer.ts";

const MIB = 1024 * 1024;

function noise(length: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 32) parts.push(createHash("sha256").update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** Each piece in memory that is overwritten as soon as it was taken. */
async function writeAll(file: FileHandle, at: number, bytes: Buffer, piece: number): Promise<void> {
  const writer = fileWriter(file, at, bytes.length);
  const lent = Buffer.alloc(piece);
  try {
    for (let from = 0; from < bytes.length; from += piece) {
      const length = bytes.copy(lent, 0, from, from + piece);
      await writer.write(lent.subarray(0, length));
      lent.fill(0xff);
    }
    await writer.end();
  } finally {
    await writer.close();
  }
}

describe.each([tmpdir(), "/dev/shm"])("a file that is written in pieces below %s", (parent) => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(parent, "stillpoint-writer-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it.each([
    ["nothing", 0, 0, 10],
    ["a small file", 0, 777, 100],
    ["whole pages", 0, 3 * MIB, 65_536],
    ["a large file whose end is no page", 0, 3 * MIB + 5, 50_001],
    ["a part that begins within a page", 4_097, 3 * MIB + 5, 65_536],
    ["pieces longer than its buffers", 0, 5 * MIB + 1, 3 * MIB],
  ])("has %s exactly", async (_, at, length, piece) => {
    const path = join(directory, `${at}-${length}`);
    const file = await open(path, "w");
    const bytes = noise(length, path);
    try {
      await writeAll(file, at, bytes, piece);
    } finally {
      await file.close();
    }
    const found = await readFile(path);
    expect(found.length).toBe(length === 0 ? 0 : at + length);
    expect(found.subarray(at).equals(bytes)).toBe(true);
  });

  it("shares its memory with no other that is written at the same time", async () => {
    const names = ["a", "b", "c"];
    await Promise.all(
      names.map(async (name) => {
        const file = await open(join(directory, name), "w");
        await writeAll(file, 0, noise(4 * MIB + 3, name), 70_000);
        await file.close();
      }),
    );
    for (const name of names)
      expect((await readFile(join(directory, name))).equals(noise(4 * MIB + 3, name))).toBe(true);
  });
});

it("a disk that is full is told, and what was left off leaves the memory usable", async () => {
  const full = await open("/dev/full", "r+");
  try {
    await expect(writeAll(full, 0, noise(4 * MIB, "full"), 65_536)).rejects.toThrow(/ENOSPC/);
  } finally {
    await full.close();
  }
});
