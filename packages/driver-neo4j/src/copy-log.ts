import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { fileEntry } from "./file-entry.ts";
import { isMissing } from "./file-error.ts";
import { logGone } from "./log-follower.ts";
import { LOG_HEADER_BYTES, readLogHeader } from "./log-header.ts";
import { type LogPosition, logName } from "./log-position.ts";
import { createLogScanner } from "./log-scanner.ts";

/** Where a copy begins: `offset` 0 is a whole file. */
export type LogStart = { logVersion: number; offset: number; txId?: number };

export type LogCopy = { directory: string; treeDirectory: string; from: LogStart; to: LogPosition };

/**
 * Copies a database's log, from one position to another. What leaves is scanned once more on its way: a byte that does
 * not belong to the chain of commits from `from` to `to` fails the backup with SOURCE_CHANGED.
 */
export async function copyLog(tree: TreeWriter, { directory, treeDirectory, from, to }: LogCopy): Promise<void> {
  let txId = from.txId;
  let checksum: number | undefined;
  for (let version = from.logVersion; version <= to.logVersion; version += 1) {
    const path = join(directory, logName(version));
    const stats = await stat(path).catch((error: unknown) => {
      throw isMissing(error) ? logGone(path) : error;
    });
    const begin = version === from.logVersion ? from.offset : 0;
    const end = version === to.logVersion ? to.offset : stats.size;
    if (end < begin || stats.size < end) throw logGone(path, `it has ${stats.size} bytes, but ${end} were read before`);
    if (end === begin) continue;
    const proved = async function* () {
      let at = begin;
      const take = (commit: { txId: number; end: number; checksum: number }) => {
        ({ txId, checksum, end: at } = commit);
      };
      let scanner =
        begin === 0 ? undefined : createLogScanner({ offset: begin, txId: txId ?? 0, checksum }, path, take);
      let head: Buffer = Buffer.alloc(0);
      for await (const bytes of createReadStream(path, { start: begin, end: end - 1, highWaterMark: 256 * 1024 })) {
        if (scanner !== undefined) scanner.push(bytes);
        else {
          head = Buffer.concat([head, bytes]);
          const header = readLogHeader(head, path);
          if (header !== undefined) {
            if (header.lastTxId !== (txId ?? header.lastTxId)) throw logGone(path, `it does not continue ${txId}`);
            txId = header.lastTxId;
            at = LOG_HEADER_BYTES;
            scanner = createLogScanner({ offset: at, txId, checksum }, path, take);
            scanner.push(head.subarray(LOG_HEADER_BYTES));
          }
        }
        yield bytes;
      }
      if (version === to.logVersion && (txId !== to.txId || at !== to.offset)) {
        throw logGone(path, `transaction ${to.txId} ended at byte ${to.offset}, and now ${txId} ends at ${at}`);
      }
    };
    // A body that throws ends the whole tree: it ends early instead, so that who has the tree may begin anew in it.
    let failure: unknown;
    const toItsEnd = async function* () {
      try {
        yield* proved();
      } catch (error) {
        failure = error;
      }
    };
    const { torn } = await tree.add(
      fileEntry({
        path: `${treeDirectory}/${logName(version)}`,
        stats,
        size: end - begin,
        offset: begin,
        hint: "content",
      }),
      toItsEnd(),
    );
    if (failure !== undefined) throw failure;
    if (torn) throw logGone(path, "it became shorter while it was read");
  }
}
