import { createReadStream } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import type { PortableFile } from "@stillpoint/driver/portable";
import { markDetail } from "./mark-detail.ts";

/** Each database as the one file that it is, with its log brought into it. */
export async function* exportSqlite(input: SandboxInput, { signal }: DriverContext): AsyncGenerator<PortableFile> {
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
    throw new StillpointError("SANDBOX_FAILED", {
      what: "Cannot open a restored SQLite database",
      where: name,
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>; // no encoding: buffers
}
