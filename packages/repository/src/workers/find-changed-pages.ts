import { type NameKeys, PAGE_HASH_LENGTH, pageHashes, pagesName } from "../format/chunk-name.ts";
import type { PagesResult, PagesTask } from "./tasks.ts";

/** As much of a page's hash as is kept; see format/page-hash-list.ts, which a worker does not load. */
const SHORT = 16;

function shortened(hashes: Uint8Array): Uint8Array<ArrayBuffer> {
  const short = new Uint8Array((hashes.length / PAGE_HASH_LENGTH) * SHORT);
  for (let from = 0, to = 0; from < hashes.length; from += PAGE_HASH_LENGTH, to += SHORT)
    short.set(hashes.subarray(from, from + SHORT), to);
  return short;
}

function differing(hashes: Buffer, before: Uint8Array): number[] {
  const changed: number[] = [];
  for (let page = 0; page * SHORT < hashes.length; page++) {
    const at = page * SHORT;
    if (hashes.compare(before, at, at + SHORT, at, at + SHORT) !== 0) changed.push(page);
  }
  return changed;
}

function gather(bytes: Uint8Array, pages: readonly number[], pageBytes: number): SharedArrayBuffer {
  const pieces = pages.map((page) => bytes.subarray(page * pageBytes, (page + 1) * pageBytes));
  const memory = new SharedArrayBuffer(pieces.reduce((sum, { length }) => sum + length, 0));
  const target = new Uint8Array(memory);
  let at = 0;
  for (const piece of pieces) {
    target.set(piece, at);
    at += piece.length;
  }
  return memory;
}

/** Where more than three quarters of the pages changed, a chunk of them alone would save little and make restores slower. */
export function findChangedPages(keys: NameKeys, task: PagesTask): PagesResult {
  const { type, pageBytes, blockBytes, before, deltaMost = 0 } = task;
  const bytes = new Uint8Array(task.slab, task.start, task.length);
  const full = pageHashes(bytes, pageBytes);
  const hashes = shortened(full);
  const changed = before === undefined ? undefined : differing(Buffer.from(hashes.buffer), before);
  if (changed?.length === 0) return { hashes, changed: new Uint32Array(0), names: new Uint8Array(0) };
  const pages = hashes.length / SHORT;
  if (changed !== undefined && changed.length * 4 <= pages * 3 && changed.length * pageBytes <= deltaMost) {
    const ofChanged = changed.map((page) => full.subarray(page * PAGE_HASH_LENGTH, (page + 1) * PAGE_HASH_LENGTH));
    return {
      hashes,
      changed: Uint32Array.from(changed),
      names: Uint8Array.from(pagesName(keys, type, Buffer.concat(ofChanged))),
      delta: gather(bytes, changed, pageBytes),
    };
  }
  const perBlock = (blockBytes / pageBytes) * PAGE_HASH_LENGTH;
  const names: Buffer[] = [];
  for (let at = 0; at < full.length; at += perBlock)
    names.push(pagesName(keys, type, full.subarray(at, at + perBlock)));
  return { hashes, names: Uint8Array.from(Buffer.concat(names)) };
}
