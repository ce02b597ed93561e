import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { type Checkpoint, readCheckpoints } from "./checkpoint-file.ts";
import { copyLog } from "./copy-log.ts";
import { copyStore } from "./copy-store.ts";
import { fileEntry } from "./file-entry.ts";
import { followLog, type LogFollower } from "./log-follower.ts";
import { checkpointVersionOf, type LogPosition } from "./log-position.ts";
import type { StoreMark } from "./mark-detail.ts";

/** Where a database lies below a data directory, the source's and the tree's alike. */
export function databaseDirectory(data: string, database: string): string {
  return `${data}/databases/${database}`;
}
export function logDirectory(data: string, database: string): string {
  return `${data}/transactions/${database}`;
}
/** A file of every store that the server makes once, and never again. */
export function neostorePath(data: string, database: string): string {
  return `${databaseDirectory(data, database)}/neostore`;
}

/** The files of one database of a running server. */
export interface StoreCapture {
  readonly log: LogFollower;
  /** `leftOut`: what would not hold still. `end`: whoever has the log from there on needs nothing else. */
  base(tree: TreeWriter): Promise<{ leftOut: string[]; end: LogPosition }>;
  /** Makes the base hold the log up to where it ends now. */
  extendBase(tree: TreeWriter): Promise<LogPosition>;
  markAt(position: LogPosition): StoreMark;
  /** The log behind the base, up to the mark. */
  finish(tree: TreeWriter, mark: StoreMark): Promise<void>;
}

type Base = { checkpoint: Checkpoint; checkpointFiles: { name: string; size: number }[]; end: LogPosition };

export async function openStore(data: string, database: string, signal: AbortSignal): Promise<StoreCapture> {
  const logs = logDirectory(data, database);
  const trees = { store: databaseDirectory("data", database), logs: logDirectory("data", database) };
  const log = await followLog(logs, (await readCheckpointFiles(logs)).newest.oldestLogVersion, signal);
  let base: Base | undefined;
  return {
    log,
    async base(tree) {
      base = undefined;
      const { newest: checkpoint, files } = await readCheckpointFiles(logs);
      for (const { name, bytes } of files) {
        const stats = await stat(join(logs, name));
        const entry = fileEntry({ path: `${trees.logs}/${name}`, stats, size: bytes.length, hint: "content" });
        await tree.add(entry, one(bytes));
      }
      const copy = { directory: databaseDirectory(data, database), treeDirectory: trees.store, signal };
      const leftOut = await copyStore(tree, copy);
      // Whatever a copied page may hold stands in the log by now: the server writes its log first.
      const end = await log.advance();
      const from = { logVersion: checkpoint.oldestLogVersion, offset: 0 };
      await copyLog(tree, { directory: logs, treeDirectory: trees.logs, from, to: end });
      base = { checkpoint, checkpointFiles: files.map(({ name, bytes }) => ({ name, size: bytes.length })), end };
      return { leftOut, end };
    },
    async extendBase(tree) {
      const held = basis(base);
      const end = await log.advance();
      await copyLog(tree, { directory: logs, treeDirectory: trees.logs, from: held.end, to: end });
      base = { ...held, end };
      return end;
    },
    markAt(position) {
      const { checkpoint, checkpointFiles, end } = basis(base);
      return {
        database,
        ...position,
        firstLogVersion: checkpoint.oldestLogVersion,
        floor: end.txId,
        checkpoint: { txId: checkpoint.txId, logVersion: checkpoint.logVersion, offset: checkpoint.offset },
        checkpointFiles,
      };
    },
    async finish(tree, { logVersion, offset, txId }) {
      const { end } = basis(base);
      await copyLog(tree, {
        directory: logs,
        treeDirectory: trees.logs,
        from: end,
        to: { logVersion, offset, txId },
      });
    },
  };
}

function basis(base: Base | undefined): Base {
  if (base === undefined) throw new TypeError("the base comes before the mark");
  return base;
}

async function* one(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The checkpoint files, each cut behind its last whole record, and the newest checkpoint of all. */
export async function readCheckpointFiles(
  logs: string,
): Promise<{ newest: Checkpoint; files: { name: string; bytes: Buffer }[] }> {
  const names = (await readdir(logs)).filter((name) => checkpointVersionOf(name) !== undefined);
  names.sort((a, b) => (checkpointVersionOf(a) ?? 0) - (checkpointVersionOf(b) ?? 0));
  const files: { name: string; bytes: Buffer }[] = [];
  let newest: Checkpoint | undefined;
  for (const name of names) {
    // At most 1 MiB each: the server begins another one then.
    const bytes = await readFile(join(logs, name));
    const last = readCheckpoints(bytes).at(-1);
    if (last === undefined) continue;
    newest = last;
    files.push({ name, bytes: bytes.subarray(0, last.end) });
  }
  if (newest === undefined) {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot find a checkpoint of the database",
      where: logs,
      why: "its checkpoint files hold no record of the form that Neo4j 5.26 writes",
      hint: "restart the server, which makes it write one",
    });
  }
  return { newest, files };
}
