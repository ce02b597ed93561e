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

const PAGE = 8192;

/** A heap page as a database fills it: a header, line pointers, rows of short text, numbers and some free space. */
export function databasePage(page: Buffer, number: number, random: () => number): void {
  page.fill(0);
  page.writeUInt32LE(number, 0);
  page.writeUInt32LE(Math.floor(random() * 2 ** 32), 4);
  const rows = 40 + Math.floor(random() * 25);
  let upper = PAGE;
  for (let row = 0; row < rows && upper > 600; row++) {
    const name = WORDS[Math.floor(random() * WORDS.length)] ?? "";
    const text = `${name} ${WORDS[Math.floor(random() * WORDS.length)]} ${Math.floor(random() * 1e9).toString(36)}`;
    upper -= 40 + text.length;
    page.writeUInt32LE(number * 64 + row, upper);
    page.writeDoubleLE(random() * 1e6, upper + 8);
    page.writeUInt32LE(Math.floor(random() * 2 ** 32), upper + 16);
    page.write(text, upper + 24, "latin1");
    page.writeUInt16LE(upper, 24 + row * 4);
  }
}

const WORDS = Array.from({ length: 2000 }, (_, i) => {
  const random = randomOf(i + 1);
  return Array.from({ length: 3 + Math.floor(random() * 8) }, () =>
    String.fromCharCode(97 + Math.floor(random() ** 2 * 26)),
  ).join("");
});

function* pages(size: number, random: () => number): Generator<Buffer> {
  for (let at = 0; at < size; at += PAGE * 128) {
    const block = Buffer.alloc(Math.min(PAGE * 128, size - at));
    for (let from = 0; from < block.length; from += PAGE)
      databasePage(block.subarray(from, from + PAGE), (at + from) / PAGE, random);
    yield block;
  }
}

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

/** Half pages of a database, a quarter text in small and large files, a quarter float vectors. */
export async function makeMixedSet(root: string, megabytes: number, seed = 1): Promise<SetFile[]> {
  const files: SetFile[] = [];
  const add = async (path: string, size: number, hint: ChunkHint, blocks: Generator<Buffer>) => {
    await write(join(root, path), blocks);
    files.push({ path, size, hint });
  };
  const total = megabytes * 1_000_000;
  const random = randomOf(seed);
  for (let left = total / 2, i = 0; left > PAGE; i++) {
    const size = Math.floor(Math.min(left, 64_000_000) / PAGE) * PAGE;
    await add(`database/base/5/${16384 + i}`, size, `page:${PAGE}`, pages(size, random));
    left -= size;
  }
  for (let left = total / 4, i = 0; left > 0; i++) {
    const size = Math.min(Math.ceil(left), i % 50 === 0 ? 20_000_000 : 200 + Math.floor(random() ** 4 * 400_000));
    await add(`text/${i % 40}/${i}.txt`, size, "content", text(size, random));
    left -= size;
  }
  for (let left = total / 4, i = 0; left > 1024; i++) {
    const size = Math.floor(Math.min(left, 32_000_000) / 1024) * 1024;
    await add(`vectors/segment-${i}/matrix.dat`, size, "content", vectors(size, random));
    left -= size;
  }
  return files;
}

/** Rewrites a part of the database's pages in place. */
export async function changePages(root: string, files: readonly SetFile[], part: number, seed = 2): Promise<number> {
  const random = randomOf(seed);
  let changed = 0;
  for (const { path, size, hint } of files) {
    if (!hint.startsWith("page:")) continue;
    await using file = await open(join(root, path), "r+");
    const page = Buffer.alloc(PAGE);
    for (let at = 0; at < size; at += PAGE) {
      if (random() >= part) continue;
      databasePage(page, at / PAGE + 1_000_000, random);
      await file.write(page, 0, PAGE, at);
      changed += PAGE;
    }
  }
  return changed;
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
