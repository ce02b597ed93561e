import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import type { DriverContext, SandboxInput } from "./driver.ts";

/** One native file of a store, such as its own tools make and read. */
export type PortableFile = {
  /** Which part of the source it holds: a database, a collection. Empty where a source is one file. */
  part: string;
  extension: string;
  /** What it is, and which program made it: for people. */
  format: string;
  madeBy: string;
  /** Makes it. Asked for at most once, before the next file is; never where it is there already. */
  content: () => AsyncIterable<Uint8Array>;
};

/** What is wanted beside the files that a kind always gives. */
export type PortableWishes = {
  /** Each SQLite database as SQL too. */
  sql: boolean;
  /** Tables that are left out of that SQL. */
  withoutTables: readonly string[];
};

/**
 * A restored and laid-out tree as native files, one after the other. Starts a throw-away server where the store's tools
 * need one (STORE_NOT_INSTALLED, SANDBOX_FAILED), for as long as the files are read. It may change the tree.
 */
export type PortableExport = (
  input: SandboxInput,
  context: DriverContext,
  wishes: PortableWishes,
) => AsyncIterable<PortableFile>;

/** A file that a program writes in the work directory, read and then removed: only one takes space at a time. */
export async function* onceWritten(path: string, write: () => Promise<void>): AsyncGenerator<Uint8Array> {
  try {
    await write();
    yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>; // no encoding: buffers
  } finally {
    await rm(path, { force: true });
  }
}
