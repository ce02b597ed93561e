import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DatabaseRecord } from "./record.ts";

/** A restored database, opened and hence recovered. */
export type RestoredDatabase = {
  record: DatabaseRecord;
  database: DatabaseSync;
  /** Frames of the log that SQLite found valid. */
  replayed: number;
};

/** Opens it, which makes SQLite read its log, and then for reading alone. */
export function openRestored(directory: string, record: DatabaseRecord): RestoredDatabase {
  const path = join(directory, record.name);
  try {
    const database = new DatabaseSync(path);
    const row = record.mode === "wal" ? database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get() : undefined;
    database.exec("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF");
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return { record, database, replayed: Math.max(0, Number(row?.log ?? 0)) };
  } catch (error) {
    throw new StillpointError("SANDBOX_FAILED", {
      what: "Cannot open a restored SQLite database",
      where: record.name,
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}
