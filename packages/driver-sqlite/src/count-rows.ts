import type { DatabaseSync } from "node:sqlite";

/** Rows of every table that has any of its own; a virtual table's rows are in its shadow tables. */
export function countRows(database: DatabaseSync): Record<string, number> {
  const tables = database
    .prepare(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
       AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name`,
    )
    .all();
  return Object.fromEntries(
    tables.map(({ name }) => {
      const row = database.prepare(`SELECT count(*) AS rows FROM ${quoted(String(name))}`).get();
      return [String(name), Number(row?.rows)];
    }),
  );
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
