import { createWriteStream, read } from "node:fs";
import { rm } from "node:fs/promises";
import { backup, type DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

/** Pages per step: between steps a database with a rollback journal is unlocked for its writers. */
const STEP_PAGES = 1000;
/** How often a copy may begin again because of a writer. */
const MAX_RESTARTS = 3;
const BLOCK_BYTES = 1 << 20;

class Restarted extends Error {}

/** Copies a database by SQLite's online backup. A read transaction that is open on the reader decides what moment. */
export async function copyDatabase(reader: DatabaseSync, to: string, onStep: (left: number) => void = () => {}) {
  await rm(to, { force: true });
  await backup(reader, to, { rate: STEP_PAGES, progress: ({ remainingPages }) => onStep(remainingPages) });
}

/** The same without a transaction: whoever writes makes it begin again. False: they did so too often. */
export async function copyWhileWritten(reader: DatabaseSync, to: string): Promise<boolean> {
  let before = Number.POSITIVE_INFINITY;
  let restarts = 0;
  try {
    await copyDatabase(reader, to, (left) => {
      if (left >= before) restarts += 1;
      before = left;
      if (restarts > MAX_RESTARTS) throw new Restarted();
    });
    return true;
  } catch (error) {
    if (error instanceof Restarted) return false;
    throw error;
  }
}

/** Copies a file as it stands, by a descriptor that stays open. */
export async function copyBytes(descriptor: number, to: string): Promise<void> {
  await rm(to, { force: true });
  await pipeline(Readable.from(blocks(descriptor)), createWriteStream(to, { mode: 0o600 }));
}

async function* blocks(descriptor: number): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await promisify(read)(descriptor, Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
