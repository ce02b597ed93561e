import { closeSync, openSync } from "node:fs";
import { readFully } from "./read-range.ts";
import type { FileRead, ReadResult, ReadTask } from "./tasks.ts";

function readOne(slab: SharedArrayBuffer, { path, offset, length, at }: FileRead): number {
  const target = new Uint8Array(slab, at, length);
  const file = openSync(path, "r");
  try {
    const filled = readFully(file, target, offset).length;
    target.fill(0, filled);
    return filled;
  } finally {
    closeSync(file);
  }
}

/** Blocking calls: a worker has nothing else to do, and for small files they cost a tenth of asynchronous ones. */
export function readFiles({ slab, reads }: ReadTask): ReadResult {
  return { short: reads.filter((read) => readOne(slab, read) < read.length).map(({ path }) => path) };
}
