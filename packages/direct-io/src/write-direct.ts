import { closeSync, constants, openSync, writeSync } from "node:fs";
import { DIRECT_LEAST, DIRECT_UNIT, directPath, isRefused, putAligned, takeAligned } from "./aligned-memory.ts";

function writeFully(fd: number, bytes: Uint8Array, at: number): void {
  for (let from = 0; from < bytes.length; ) from += writeSync(fd, bytes, from, bytes.length - from, at + from);
}

function reopenDirect(fd: number): number | undefined {
  try {
    return openSync(directPath(fd), constants.O_WRONLY | constants.O_DIRECT);
  } catch {
    return undefined; // whoever asks writes through the cache instead, and meets what is really wrong there
  }
}

/** How many bytes it wrote: all, or those before the one that could not be written directly. */
function writeAligned(fd: number, bytes: Uint8Array, at: number): number {
  const memory = takeAligned();
  let from = 0;
  try {
    while (from < bytes.length) {
      const part = bytes.subarray(from, from + memory.length);
      memory.set(part);
      from += writeSync(fd, memory, 0, part.length, at + from);
    }
  } catch (error) {
    if (!isRefused(error)) throw error;
  } finally {
    putAligned(memory);
  }
  return from;
}

/**
 * Writes to a file, blocking, and large stretches past the page cache: a restore fills it with what nobody reads soon, at the
 * price of a copy of every byte, and pushes out what others read. The bytes before the first and behind the last whole page
 * go through the cache.
 */
export function writeDirect(fd: number, bytes: Uint8Array, at: number): void {
  const start = Math.ceil(at / DIRECT_UNIT) * DIRECT_UNIT - at;
  const end = Math.floor((at + bytes.length) / DIRECT_UNIT) * DIRECT_UNIT - at;
  const direct = end - start < DIRECT_LEAST ? undefined : reopenDirect(fd);
  if (direct === undefined) {
    writeFully(fd, bytes, at);
    return;
  }
  try {
    writeFully(fd, bytes.subarray(0, start), at);
    const written = writeAligned(direct, bytes.subarray(start, end), at + start);
    writeFully(fd, bytes.subarray(start + written), at + start + written);
  } finally {
    closeSync(direct);
  }
}
