import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Another number is another layout: the file is dropped then, and made anew. */
const LAYOUT = 1;
/** `STPX`, so that no other program's file is taken for this. */
const APPLICATION = 0x53545058;
const BUSY_MS = 60_000;

/*
 * `objects`: index objects by name. One that is superseded is known and not read; `by` is the one that said so.
 * `listed`: which object lists which pack; a pack that none lists any more goes. `expected`: packs that were to be stored
 * and are not listed yet. Chunks of packs that went stay until they are swept: `join packs` hides them, and so a pack's
 * number is never given out twice.
 */
const TABLES = `
  create table objects (number integer primary key autoincrement, name text not null unique, by integer) strict;
  create table packs (
    number integer primary key autoincrement, id blob not null unique, epoch integer not null, length integer not null,
    chunks integer not null
  ) strict;
  create table listed (object integer, pack integer, primary key (object, pack)) strict, without rowid;
  create index listed_packs on listed (pack);
  create table expected (pack blob primary key) strict, without rowid;
  create table chunks (
    name blob, pack integer, position integer not null, offset integer not null, length integer not null,
    type integer not null, primary key (name, pack)
  ) strict, without rowid;
  create table state (key text primary key, value any) strict, without rowid;
`;

export type DatabaseUse =
  /** This process alone, until it is closed; nothing of it outlives a crash. */
  | "building"
  /** Any number of processes; a crash at any moment loses at most the last changes. */
  | "shared";

/** An empty path is a file that has no name and goes with the process. */
export function openChunkDatabase(path: string, use: DatabaseUse, cacheBytes: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: use === "shared" ? BUSY_MS : 0 });
  try {
    database.exec(`pragma cache_size = -${Math.ceil(cacheBytes / 1024)}; pragma temp_store = file`);
    if (use === "shared") database.exec("pragma journal_mode = wal; pragma synchronous = normal");
    else database.exec("pragma locking_mode = exclusive; pragma journal_mode = memory; pragma synchronous = off");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export function createTables(database: DatabaseSync, id: string): void {
  database.exec(`begin exclusive; ${TABLES}; pragma application_id = ${APPLICATION}; pragma user_version = ${LAYOUT}`);
  database.prepare("insert into state values ('id', ?), ('chunks', 0), ('dead', 0)").run(id);
  database.exec("commit");
}

/** Whether the file is one of this layout, for this index. */
export function isOurs(database: DatabaseSync, id: string): boolean {
  const number = (pragma: string) => Object.values(database.prepare(`pragma ${pragma}`).get() ?? {})[0];
  if (number("application_id") !== APPLICATION || number("user_version") !== LAYOUT) return false;
  return database.prepare("select value from state where key = 'id'").get()?.value === id;
}

/** Primary result codes of SQLite. */
const BUSY = 5;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

/** Whether the file is none of SQLite's, or not whole. */
export function isSpoilt(error: unknown): boolean {
  const code = resultCode(error);
  return code === CORRUPT || code === NOT_A_DATABASE;
}

/** What SQLite says, as everybody understands it; other errors stay what they are. */
export function indexFailure(error: unknown, path: string | undefined): unknown {
  const code = resultCode(error);
  if (code === undefined) return error;
  const what = "Cannot use the chunk index";
  if (isSpoilt(error))
    return new StillpointError("INDEX_SPOILT", {
      what,
      where: path,
      why: "its file is not whole",
      hint: "it was dropped, and is made anew from the repository at the next try",
      cause: error,
    });
  const why = error instanceof Error ? error.message : String(error);
  if (code === FULL) return new StillpointError("DISK_FULL", { what, where: path, why, cause: error });
  if (code === BUSY) return new StillpointError("TIMEOUT", { what, where: path, why, cause: error });
  return new StillpointError("INTERNAL", { what, where: path, why, cause: error });
}
