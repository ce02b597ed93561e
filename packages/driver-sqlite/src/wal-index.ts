import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { sourceChanged } from "./source-error.ts";
import type { WalAddress } from "./wal-address.ts";
import type { Checksum } from "./wal-format.ts";

/** Two copies of a header of 48 bytes, then what checkpoints have done; as SQLite documents it for the `-shm` file. */
const COPY_BYTES = 48;
const BYTES = 136;
const VERSION = 3007000;
const TRIES = 20;

/** What is committed in a write-ahead log, by the word of those who write it. */
export type WalIndex = {
  salts: Checksum;
  /** Frames up to the last commit. What lies behind them in the file is of nobody yet, and may be written anew. */
  frames: number;
  /** The last frame's checksum. */
  checksum: Checksum;
  /** Frames that are in the database file already. */
  backfilled: number;
};

/** Undefined: somebody is writing it at this moment, or it was never written. */
export function parseWalIndex(bytes: Buffer, isLittle = endianness() === "LE"): WalIndex | undefined {
  const [first, second] = [bytes.subarray(0, COPY_BYTES), bytes.subarray(COPY_BYTES, 2 * COPY_BYTES)];
  const word = (at: number) => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  if (bytes.byteLength < BYTES || !first.equals(second) || word(0) !== VERSION || bytes[12] === 0) return undefined;
  return {
    // As they stand in the log itself, whatever machine this is.
    salts: [bytes.readUInt32BE(32), bytes.readUInt32BE(36)],
    frames: word(16),
    checksum: [word(24), word(28)],
    backfilled: word(96),
  };
}

/**
 * Reads it by a descriptor of the `-shm` file; in a process that has no locks on it, for closing the descriptor would drop
 * them. A writer that died in the middle leaves it unreadable until the next one comes: undefined.
 */
export function readWalIndex(shm: number): WalIndex | undefined {
  const bytes = Buffer.alloc(BYTES);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const read = readSync(shm, bytes, 0, BYTES, 0);
    const index = parseWalIndex(bytes.subarray(0, read));
    if (index !== undefined) return index;
  }
  return undefined;
}

/** Blocks of page numbers, each with a table that finds them; the first one begins behind the header. */
const BLOCK_BYTES = 32_768;
const NUMBER_BYTES = 4;
const NUMBERS = 4096;
const NUMBERS_OF_FIRST = NUMBERS - BYTES / NUMBER_BYTES;

/** Which page each of so many committed frames holds; `first` counts from 0. Undefined: the index does not say all of them. */
export async function framePages(shm: FileHandle, first: number, count: number): Promise<Uint32Array | undefined> {
  const bytes = Buffer.alloc(count * NUMBER_BYTES);
  for (let done = 0; done < count; ) {
    const behindFirst = first + done - NUMBERS_OF_FIRST;
    const isFirst = behindFirst < 0;
    const within = isFirst ? first + done : behindFirst % NUMBERS;
    const at = isFirst
      ? BYTES + within * NUMBER_BYTES
      : (1 + Math.floor(behindFirst / NUMBERS)) * BLOCK_BYTES + within * NUMBER_BYTES;
    const here = Math.min(count - done, (isFirst ? NUMBERS_OF_FIRST : NUMBERS) - within);
    const { bytesRead } = await shm.read(bytes, done * NUMBER_BYTES, here * NUMBER_BYTES, at);
    if (bytesRead < here * NUMBER_BYTES) return undefined;
    done += here;
  }
  // In the machine's own order, as everything in this file.
  return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
}

/** Where a database's log ends now, and the checksum of its last frame. Its holder has it open, so the file is there. */
export async function walEnd(path: string): Promise<{ address: WalAddress; checksum: Checksum }> {
  await using shm = await open(`${path}-shm`, "r");
  const index = readWalIndex(shm.fd);
  if (index !== undefined)
    return { address: { salts: [...index.salts], frames: index.frames }, checksum: index.checksum };
  throw sourceChanged(path, "its -shm file cannot be read: a writer died in the middle of a commit");
}
