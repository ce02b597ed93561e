import { closeSync, openSync, readSync } from "node:fs";
import type { PackRange } from "./tasks.ts";

/** Kept from task to task: memory that is new costs as much as it takes to fill it. */
let memory = Buffer.alloc(0);

function room(length: number): Buffer {
  if (memory.length < length) memory = Buffer.allocUnsafeSlow(length);
  return memory.subarray(0, length);
}

/** Fills as much of the target as the file has. */
export function readFully(fd: number, target: Uint8Array, offset: number): Uint8Array {
  let filled = 0;
  while (filled < target.length) {
    const read = readSync(fd, target, filled, target.length - filled, offset + filled);
    if (read === 0) break;
    filled += read;
  }
  return target.subarray(0, filled);
}

/** The bytes, as many as there are. What a file gave is overwritten by the next call. */
export function readRange(range: PackRange): Uint8Array {
  if (range instanceof Uint8Array) return range;
  const fd = openSync(range.path, "r");
  try {
    return readFully(fd, room(range.length), range.offset);
  } finally {
    closeSync(fd);
  }
}
