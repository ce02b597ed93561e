import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  ALIGNED_BYTES,
  DIRECT_LEAST,
  DIRECT_UNIT,
  directPath,
  isRefused,
  putAligned,
  takeAligned,
} from "./aligned-memory.ts";

/** `write` is done with the bytes when it resolves; `end` resolves when all are written. Close it also after a failure. */
export type FileWriter = { write(bytes: Uint8Array): Promise<void>; end(): Promise<void>; close(): Promise<void> };

async function writeFully(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let from = 0; from < bytes.byteLength; )
    from += (await file.write(bytes, from, bytes.byteLength - from, at + from)).bytesWritten;
}

/** How many bytes it wrote: all, or those before the one that could not be written directly. */
async function writeAligned(direct: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  let from = 0;
  try {
    while (from < bytes.byteLength)
      from += (await direct.write(bytes, from, bytes.byteLength - from, at + from)).bytesWritten;
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
  return from;
}

async function reopenDirect(file: FileHandle): Promise<FileHandle | undefined> {
  try {
    return await open(directPath(file.fd), constants.O_WRONLY | constants.O_DIRECT);
  } catch {
    return undefined; // it is written through the cache instead, and what is really wrong is met there
  }
}

/**
 * Writes `size` bytes or so to an open file from `at` on, in few large writes and one step behind whoever brings them: one
 * buffer is written while the next is filled. Large files are written past the page cache, as by `writeDirect`.
 */
export function fileWriter(file: FileHandle, at: number, size: number): FileWriter {
  const isLarge = size >= DIRECT_LEAST;
  let direct: FileHandle | undefined;
  let opened = false;
  let filling: Uint8Array | undefined;
  let filled = 0;
  let position = at;
  let writing: { memory: Uint8Array; done: Promise<void> } | undefined;

  /** Where the first write ends, so that the later ones begin at whole pages. */
  const room = () => ALIGNED_BYTES - (position % DIRECT_UNIT);

  async function writeOut(memory: Uint8Array, length: number, to: number): Promise<void> {
    const whole = to % DIRECT_UNIT === 0 ? Math.floor(length / DIRECT_UNIT) * DIRECT_UNIT : 0;
    if (isLarge && !opened && whole > 0) {
      direct = await reopenDirect(file);
      opened = true;
    }
    const written = direct === undefined ? 0 : await writeAligned(direct, memory.subarray(0, whole), to);
    await writeFully(file, memory.subarray(written, length), to + written);
  }

  async function settle(): Promise<void> {
    const last = writing;
    writing = undefined;
    if (last === undefined) return;
    try {
      await last.done;
    } finally {
      putAligned(last.memory);
    }
  }

  async function flush(): Promise<void> {
    await settle();
    if (filling === undefined || filled === 0) return;
    const done = writeOut(filling, filled, position);
    done.catch(() => undefined); // thrown by settle
    writing = { memory: filling, done };
    position += filled;
    filling = undefined;
    filled = 0;
  }

  return {
    async write(bytes) {
      for (let from = 0; from < bytes.byteLength; ) {
        filling ??= takeAligned();
        const part = bytes.subarray(from, from + room() - filled);
        filling.set(part, filled);
        filled += part.byteLength;
        from += part.byteLength;
        if (filled === room()) await flush();
      }
    },
    async end() {
      await flush();
      await settle();
    },
    async close() {
      await writing?.done.catch(() => undefined); // whoever closes without an end knows of a failure already
      if (writing !== undefined) putAligned(writing.memory);
      if (filling !== undefined) putAligned(filling);
      writing = undefined;
      filling = undefined;
      await direct?.close();
    },
  };
}
