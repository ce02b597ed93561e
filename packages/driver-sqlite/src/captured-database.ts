import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { FoundDatabase } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import type { DatabaseMark } from "./mark-detail.ts";
import { sourceDamaged } from "./source-error.ts";
import type { WalDatabase } from "./wal-database.ts";

/** One database in a capture. Its copy lies in the capture's own directory until the end. */
export interface CapturedDatabase extends AsyncDisposable {
  readonly found: FoundDatabase;
  readonly mode: "wal" | "rollback";
  /** Makes the copy, if there is none, and checks it. */
  copy(): Promise<void>;
  addCopy(tree: TreeWriter): Promise<void>;
  settle(): Promise<void>;
  mark(budgetMs: number): Promise<{ mark: DatabaseMark; fuzzy?: string }>;
  /**
   * What the mark has beyond the base. `withCopy`: the base did not have it. `logPath`: where the log goes, if not beside the
   * database. Gives the frames that it wrote.
   */
  finish(tree: TreeWriter, withCopy: boolean, logPath?: string): Promise<{ frames: number }>;
  /** Rows by table in our own copy, where the source at the mark can no longer be asked. */
  countCopy(): Promise<Record<string, number> | undefined>;
}

export function isWal(database: CapturedDatabase): database is WalDatabase {
  return database.mode === "wal";
}

export async function addDatabaseFile(
  tree: TreeWriter,
  { found, path, pageSize }: { found: FoundDatabase; path: string; pageSize: number },
): Promise<void> {
  const { size } = await stat(path);
  const { name, mode, uid, gid, mtimeMs } = found;
  const entry = { type: "file", path: name, size, hint: `page:${pageSize}`, mode, uid, gid, mtimeMs } as const;
  const { torn } = await tree.add(entry, createReadStream(path, { highWaterMark: 1 << 20 }));
  if (torn) throw new TypeError(`unreachable: ${path} is nobody's but ours`);
}

/** Throws SOURCE_DAMAGED with what SQLite finds wrong. */
export async function checkCopy(holder: Holder, found: FoundDatabase, copy: string): Promise<void> {
  const { problems } = await holder.ask("check", { path: copy });
  if (problems.length > 0) throw sourceDamaged(found.path, problems);
}
