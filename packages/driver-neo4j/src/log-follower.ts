import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { isMissing } from "./file-error.ts";
import { LOG_HEADER_BYTES, type LogHeader, readLogHeader } from "./log-header.ts";
import { type LogPosition, logName } from "./log-position.ts";
import { createLogScanner } from "./log-scanner.ts";

const READ_BYTES = 256 * 1024;

/** Knows how far a database's transaction log is proved, and goes on from there. */
export interface LogFollower {
  readonly position: LogPosition;
  /** The file that is read now: the position's, or the next one while it holds no commit yet. */
  readonly reading: number;
  readonly storeId: string;
  /**
   * Reads what was written since, up to and with the transaction `until`; the position is then the end of the last
   * whole commit. Bytes behind it may be half written: they are read anew the next time. Throws SOURCE_CHANGED if the
   * log is not the continuation of what was read before.
   */
  advance(until?: number): Promise<LogPosition>;
}

/** Follows the log from the beginning of one of its files. `passed` is told each commit, once. */
export async function followLog(
  directory: string,
  firstVersion: number,
  signal: AbortSignal,
  passed?: (commit: LogPosition, committedMs: number) => void,
): Promise<LogFollower> {
  const first = await headerOf(directory, firstVersion);
  if (first === undefined) throw logGone(join(directory, logName(firstVersion)));
  let position: LogPosition = { logVersion: firstVersion, offset: LOG_HEADER_BYTES, txId: first.lastTxId };
  /** Where to read on: the position, or the beginning of a next file that holds no commit yet. */
  let cursor = position;
  let checksum: number | undefined;

  /** Scans on in one file; true if it ends there and another one continues it. */
  const scanFile = async (until: number): Promise<boolean> => {
    const { logVersion } = cursor;
    const path = join(directory, logName(logVersion));
    // Before the file is read: if there is a next one, then this one is complete.
    const next = await headerOf(directory, logVersion + 1);
    const scanner = createLogScanner({ ...cursor, checksum }, path, (commit) => {
      if (position.txId >= until) return;
      position = cursor = { logVersion, offset: commit.end, txId: commit.txId };
      checksum = commit.checksum;
      passed?.(position, commit.committedMs);
    });
    for await (const bytes of readFrom(path, cursor.offset)) {
      signal.throwIfAborted();
      scanner.push(bytes);
      if (scanner.ended || position.txId >= until) break;
    }
    if (next === undefined || position.txId >= until) return false;
    if (next.lastTxId !== position.txId || next.storeId !== first.storeId) {
      throw new StillpointError("SOURCE_CHANGED", {
        what: "The transaction log has a gap or is damaged",
        where: path,
        why: `its last whole transaction is ${position.txId}, and the next file continues ${next.lastTxId}`,
        hint: "restart the server; if this comes back, look into its debug.log",
      });
    }
    cursor = { logVersion: logVersion + 1, offset: LOG_HEADER_BYTES, txId: position.txId };
    return true;
  };

  return {
    get position() {
      return position;
    },
    get reading() {
      return cursor.logVersion;
    },
    storeId: first.storeId,
    async advance(until = Number.POSITIVE_INFINITY) {
      let more = position.txId < until;
      while (more) more = await scanFile(until);
      return position;
    },
  };
}

/** Undefined: the file is not there, or not begun. */
export async function headerOf(directory: string, version: number): Promise<LogHeader | undefined> {
  const path = join(directory, logName(version));
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_HEADER_BYTES), 0, LOG_HEADER_BYTES, 0);
    return readLogHeader(buffer.subarray(0, bytesRead), path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function* readFrom(path: string, offset: number): AsyncGenerator<Buffer> {
  try {
    if ((await stat(path)).size < offset) throw logGone(path, `it is shorter than the ${offset} bytes that were read`);
    await using file = await open(path);
    for (let at = offset; ; ) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    if (isMissing(error)) throw logGone(path);
    throw error;
  }
}

export function logGone(where: string, why = "the file is gone"): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "The transaction log is not what it was",
    where,
    why,
    hint: "if the server removes its logs too early, set db.tx_log.rotation.retention_policy=keep_all, or days enough, in its neo4j.conf",
  });
}

export function notShown(where: string, txId: number): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "The transaction log does not show what the server has committed",
    where,
    why: `transaction ${txId} is not in it`,
    hint: "is `data` a copy of the server's data directory, or its log damaged? The server's debug.log may tell",
  });
}
