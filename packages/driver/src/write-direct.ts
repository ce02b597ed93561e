import { closeSync, constants, openSync, writeSync } from "node:fs";
import { codeOf } from "./disk-error.ts";

/** What every file system and disk takes as the unit of a direct write; some take less. */
const UNIT = 4096;
/** Below it a trip to the disk costs more than the copy that it saves. */
const LEAST = 256 * 1024;

/** The part that is needed of what the language's libraries declare for browsers only. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };

/** Memory of WebAssembly begins at a page, which a direct write needs, and which no Buffer promises. */
let aligned: Uint8Array | undefined;

function alignedMemory(): Uint8Array {
  aligned ??= new Uint8Array(new WebAssembly.Memory({ initial: 16 }).buffer);
  return aligned;
}

export function writeFully(fd: number, bytes: Uint8Array, at: number): void {
  for (let from = 0; from < bytes.length; ) from += writeSync(fd, bytes, from, bytes.length - from, at + from);
}

/** A second descriptor of an open file, past the page cache; none where the system or the file system has no such thing. */
function reopenDirect(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_DIRECT);
  } catch {
    return undefined; // whoever asks writes through the cache instead, and meets what is really wrong there
  }
}

/** How many bytes it wrote: all, or those before the one that could not be written directly. */
function writeAligned(fd: number, bytes: Uint8Array, at: number): number {
  const memory = alignedMemory();
  let from = 0;
  try {
    while (from < bytes.length) {
      const part = bytes.subarray(from, from + memory.length);
      memory.set(part);
      from += writeSync(fd, memory, 0, part.length, at + from);
    }
  } catch (error) {
    if (codeOf(error) !== "EINVAL") throw error;
  }
  return from;
}

/**
 * Writes to a file, blocking, and large stretches past the page cache: a restore fills it with what nobody reads soon, at the
 * price of a copy of every byte, and pushes out what others read. The bytes before the first and behind the last whole page
 * go through the cache.
 */
export function writeDirect(fd: number, bytes: Uint8Array, at: number): void {
  const start = Math.ceil(at / UNIT) * UNIT - at;
  const end = Math.floor((at + bytes.length) / UNIT) * UNIT - at;
  const direct = end - start < LEAST ? undefined : reopenDirect(fd);
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
