import { DatabaseSync } from "node:sqlite";
import { quoted } from "./count-rows.ts";

/**
 * Takes tables out of a database file that is nobody else's, and their bytes with them: the file is made anew of what stays.
 * What others say of a table (views, triggers, foreign keys) stays, as SQLite has it when a table is dropped. Names that are
 * no tables here are no matter.
 */
export function leaveOutTables(path: string, tables: readonly string[]): void {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  try {
    // Views and triggers that speak of it are not to be asked whether they still make sense.
    database.exec("PRAGMA trusted_schema=OFF; PRAGMA legacy_alter_table=ON");
    const isWal = database.prepare("PRAGMA journal_mode").get()?.journal_mode === "wal";
    const there = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)");
    const dropped = tables.flatMap((table) => there.all(table).map(({ name }) => String(name)));
    // One file, with its log brought into it; only such a one can be made anew as a whole.
    database.exec("PRAGMA journal_mode=DELETE");
    for (const name of dropped) database.exec(`DROP TABLE ${quoted(name)}`);
    database.exec("VACUUM");
    if (isWal) database.exec("PRAGMA journal_mode=WAL");
  } finally {
    database.close();
  }
}
