import { createReadStream } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import type { PortableFile, PortableWishes } from "@stillpoint/driver/portable";
import { dumpSql } from "./dump-sql.ts";
import { markDetail } from "./mark-detail.ts";

const BLOCK_LENGTH = 1 << 20;

/** Each database as the one file that it is, with its log brought into it; and, if wanted, as SQL. */
export async function* exportSqlite(
  input: SandboxInput,
  { signal }: DriverContext,
  { sql, withoutTables }: PortableWishes,
): AsyncGenerator<PortableFile> {
  const { databases } = markDetail.parse(input.mark.detail);
  for (const { name } of databases) {
    signal.throwIfAborted();
    const [, stem = name, extension = "database"] = /^([^.]*)\.(db|sqlite3?)$/.exec(name) ?? [];
    yield {
      part: databases.length === 1 ? "" : stem,
      extension,
      format: `database file ${name}, for sqlite3`,
      madeBy: `SQLite ${process.versions.sqlite}`,
      content: () => databaseFile(join(input.directory, name), name),
    };
    if (!sql) continue;
    yield {
      part: databases.length === 1 ? "" : stem,
      extension: "sql",
      format: `SQL of ${name}${withoutTables.length === 0 ? "" : ` without ${withoutTables.join(", ")}`}, for sqlite3`,
      madeBy: `SQLite ${process.versions.sqlite}`,
      content: () => sqlFile(join(input.directory, name), name, withoutTables),
    };
  }
}

async function* sqlFile(path: string, name: string, without: readonly string[]): AsyncGenerator<Uint8Array> {
  try {
    using database = new DatabaseSync(path);
    database.exec("PRAGMA trusted_schema=OFF");
    let lines: string[] = [];
    let length = 0;
    for (const line of dumpSql(database, without)) {
      lines.push(line);
      length += line.length;
      if (length < BLOCK_LENGTH) continue;
      yield Buffer.from(lines.join(""));
      [lines, length] = [[], 0];
    }
    yield Buffer.from(lines.join(""));
  } catch (error) {
    throw cannotOpen(name, error);
  }
}

async function* databaseFile(path: string, name: string): AsyncGenerator<Uint8Array> {
  try {
    using database = new DatabaseSync(path);
    database.exec("PRAGMA trusted_schema=OFF");
    const row = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (row?.busy !== 0) throw new Error("its log could not be brought into it");
    // A reader of one file has no log beside it, nor, perhaps, the right to make one.
    database.exec("PRAGMA journal_mode=DELETE");
  } catch (error) {
    throw cannotOpen(name, error);
  }
  yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>; // no encoding: buffers
}

function cannotOpen(name: string, error: unknown): StillpointError {
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot read a restored SQLite database",
    where: name,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
