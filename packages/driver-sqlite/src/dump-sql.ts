import type { DatabaseSync } from "node:sqlite";
import { quoted } from "./count-rows.ts";

type SchemaRow = { type: string; name: string; tbl_name: string; sql: string | null };

/** Tables that SQLite makes by itself, of which only the counters of AUTOINCREMENT are data. */
const INTERNAL = /^sqlite_/;
const VIRTUAL = /^\s*create\s+virtual\s+table/i;

/**
 * A database as SQL that any SQLite reads, of one moment. `exclude`: tables that are left out, with their indexes and
 * triggers; views on them stay, as SQLite lets them stay when a table is dropped.
 */
export function* dumpSql(database: DatabaseSync, exclude: readonly string[] = []): Generator<string> {
  const excluded = new Set(exclude.map((name) => name.toLowerCase()));
  database.exec("BEGIN");
  try {
    const rows = database
      .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type <> 'table', rowid")
      .all() as SchemaRow[]; // the columns that are asked for
    const kept = rows.filter(({ tbl_name }) => !excluded.has(tbl_name.toLowerCase()));
    const virtual = kept.filter(({ type, sql }) => type === "table" && VIRTUAL.test(sql ?? ""));
    yield "PRAGMA foreign_keys=OFF;\n";
    for (const pragma of ["encoding", "user_version", "application_id"]) {
      const value = Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
      yield `PRAGMA ${pragma}=${typeof value === "number" ? value : `'${value}'`};\n`;
    }
    yield "BEGIN TRANSACTION;\n";
    for (const { type, name, sql } of kept) {
      if (type !== "table" || sql === null || INTERNAL.test(name) || VIRTUAL.test(sql)) continue;
      yield `${sql};\n`;
      yield* inserts(database, name);
    }
    const counters = kept.some(({ name }) => name === "sqlite_sequence");
    if (counters) {
      yield "DELETE FROM sqlite_sequence;\n";
      yield* inserts(database, "sqlite_sequence", excluded);
    }
    if (virtual.length > 0) {
      // Their rows are in the tables above: made the plain way they would begin empty, and over them.
      yield "PRAGMA writable_schema=ON;\n";
      for (const { name, tbl_name, sql } of virtual) {
        const values = [name, tbl_name].map(literal).join(",");
        yield `INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table',${values},0,${literal(sql ?? "")});\n`;
      }
      yield "PRAGMA writable_schema=OFF;\n";
    }
    for (const { type, sql } of kept) if (type !== "table" && sql !== null) yield `${sql};\n`;
    yield "COMMIT;\n";
  } finally {
    database.exec("ROLLBACK");
  }
}

function* inserts(database: DatabaseSync, table: string, excluded?: ReadonlySet<string>): Generator<string> {
  const columns = database
    .prepare("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid")
    .all(table)
    .map(({ name }) => quoted(String(name)));
  // Text with a NUL in it is what quote() cuts off.
  const values = columns.map(
    (each) =>
      `CASE WHEN typeof(${each})='text' AND instr(${each},char(0))>0 THEN 'CAST(X'''||hex(${each})||''' AS TEXT)' ELSE quote(${each}) END`,
  );
  const into = `INSERT INTO ${quoted(table)}(${columns.join(",")}) VALUES(`;
  const statement = database.prepare(`SELECT ${values.join("||','||")} AS line FROM ${quoted(table)}`);
  const names =
    excluded === undefined ? undefined : database.prepare("SELECT lower(name) AS name FROM sqlite_sequence").all();
  let row = 0;
  for (const { line } of statement.iterate()) {
    const name = String(names?.[row]?.name);
    row += 1;
    if (excluded?.has(name) !== true) yield `${into}${line});\n`;
  }
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
