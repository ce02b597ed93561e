import { DatabaseSync } from "node:sqlite";

/**
 * Distinct values in the order of their code units, however many, from memory that stays bounded: SQLite spills to a
 * temporary file of its own. Its order is that of bytes, which in big-endian UTF-16 is that of code units.
 */
export async function* distinctValues(values: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  const database = new DatabaseSync("");
  try {
    database.exec("PRAGMA encoding='UTF-16be'; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
    database.exec("CREATE TABLE seen (value TEXT PRIMARY KEY) WITHOUT ROWID; BEGIN");
    const insert = database.prepare("INSERT OR IGNORE INTO seen VALUES (?)");
    for await (const value of values) insert.run(value);
    for (const { value } of database.prepare("SELECT value FROM seen ORDER BY value").iterate()) yield String(value);
  } finally {
    database.close();
  }
}
