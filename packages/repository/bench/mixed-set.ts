import { createWriteStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ChunkHint } from "@stillpoint/driver/tree";

export type SetFile = { path: string; size: number; hint: ChunkHint };

/** A small generator (mulberry32): the same seed gives the same set on every machine. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const WORDS = Array.from({ length: 2000 }, (_, i) => {
  const random = randomOf(i + 1);
  return Array.from({ length: 3 + Math.floor(random() * 8) }, () =>
    String.fromCharCode(97 + Math.floor(random() ** 2 * 26)),
  ).join("");
});

function* text(size: number, random: () => number): Generator<Buffer> {
  for (let at = 0; at < size; ) {
    let line = "";
    while (line.length < Math.min(65_536, size - at)) line += `${WORDS[Math.floor(random() ** 2 * WORDS.length)]} `;
    const block = Buffer.from(line.slice(0, Math.min(line.length, size - at)), "latin1");
    at += block.length;
    yield block;
  }
}

/** Embeddings: floats around zero, whose mantissas do not compress. */
function* vectors(size: number, random: () => number): Generator<Buffer> {
  for (let at = 0; at < size; at += 1 << 20) {
    const values = new Float32Array(Math.min(1 << 20, size - at) / 4);
    for (let i = 0; i < values.length; i++) values[i] = (random() + random() + random() - 1.5) / 12;
    yield Buffer.from(values.buffer);
  }
}

async function write(path: string, blocks: Iterable<Buffer>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await pipeline(Readable.from(blocks), createWriteStream(path));
}

/** As much text, in small and large files, as float vectors. */
export async function makeTextAndVectors(root: string, megabytes: number, seed = 1): Promise<SetFile[]> {
  const files: SetFile[] = [];
  const add = async (path: string, size: number, hint: ChunkHint, blocks: Generator<Buffer>) => {
    await write(join(root, path), blocks);
    files.push({ path, size, hint });
  };
  const total = megabytes * 1_000_000;
  const random = randomOf(seed);
  for (let left = total / 2, i = 0; left > 0; i++) {
    const size = Math.min(Math.ceil(left), i % 50 === 0 ? 20_000_000 : 200 + Math.floor(random() ** 4 * 400_000));
    await add(`text/${i % 40}/${i}.txt`, size, "content", text(size, random));
    left -= size;
  }
  for (let left = total / 2, i = 0; left > 1024; i++) {
    const size = Math.floor(Math.min(left, 32_000_000) / 1024) * 1024;
    await add(`vectors/segment-${i}/matrix.dat`, size, "content", vectors(size, random));
    left -= size;
  }
  return files;
}

export async function makeSmallFiles(root: string, count: number, seed = 3): Promise<SetFile[]> {
  const random = randomOf(seed);
  const files: SetFile[] = [];
  for (let i = 0; i < count; i++) {
    const path = `small/${i % 100}/${i}`;
    const [body = Buffer.alloc(0)] = text(1024, random);
    if (i < 100) await mkdir(join(root, dirname(path)), { recursive: true });
    await using file = await open(join(root, path), "w");
    await file.write(body.subarray(0, 1024));
    files.push({ path, size: 1024, hint: "content" });
  }
  return files;
}
