import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { dumpSql } from "../src/dump-sql.ts";

function database(...statements: string[]): DatabaseSync {
  const made = new DatabaseSync(":memory:");
  // As the sqlite3 program has it; full-text tables are written into the schema.
  made.enableDefensive(false);
  for (const each of statements) made.exec(each);
  return made;
}

const schema = [
  'CREATE TABLE "odd name\'s" (id INTEGER PRIMARY KEY AUTOINCREMENT, value, twice AS (id * 2), "a ""quote" TEXT)',
  "CREATE TABLE cache (id INTEGER PRIMARY KEY AUTOINCREMENT, value)",
  "CREATE INDEX cached ON cache (value)",
  'CREATE TABLE child (parent REFERENCES "odd name\'s" (id), PRIMARY KEY (parent)) WITHOUT ROWID',
  'CREATE VIEW shown AS SELECT value FROM "odd name\'s"',
  'CREATE TRIGGER counted AFTER INSERT ON "odd name\'s" BEGIN INSERT INTO cache (value) VALUES (new.id); END',
  "CREATE VIRTUAL TABLE searched USING fts5(words)",
  "PRAGMA user_version=7",
];
const values = [
  "NULL",
  "1",
  "9223372036854775807",
  "0.1",
  "-1e300",
  "9e999",
  "'it''s\n''two'''",
  "X'00ff'",
  "'a' || char(0) || 'b'",
  "'ä€😀'",
];

const contents = (of: DatabaseSync, sql: string) => {
  const statement = of.prepare(sql);
  statement.setReadBigInts(true);
  return statement.all();
};

test("a dump gives every value, counter, view, trigger and full-text table back", () => {
  using source = database(...schema);
  for (const value of values) source.exec(`INSERT INTO "odd name's" (value, "a ""quote") VALUES (${value}, 'x')`);
  source.exec(
    "INSERT INTO child VALUES (1); INSERT INTO searched VALUES ('to be found'); DELETE FROM cache WHERE id > 3",
  );
  using copy = database([...dumpSql(source)].join(""));
  copy.exec("PRAGMA writable_schema=RESET");
  for (const sql of [
    'SELECT *, typeof(value), hex(value) FROM "odd name\'s"',
    "SELECT * FROM cache",
    "SELECT * FROM sqlite_sequence ORDER BY name",
    "SELECT * FROM child",
    "SELECT * FROM shown",
    "SELECT * FROM searched WHERE searched MATCH 'found'",
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name",
    "PRAGMA user_version",
    "PRAGMA integrity_check",
  ]) {
    expect(contents(copy, sql), sql).toEqual(contents(source, sql));
  }
});

test("an excluded table is in it neither with rows nor with indexes, triggers or counters", () => {
  using source = database(...schema, "INSERT INTO cache (value) VALUES ('secret')");
  const sql = [...dumpSql(source, ["CACHE"])].join("");
  expect(sql).not.toMatch(/secret|cached|TABLE cache|'cache'/);
  using copy = database(sql);
  expect(contents(copy, "SELECT name FROM sqlite_schema WHERE tbl_name = 'cache'")).toEqual([]);
});

test("a dump is read in one transaction, which ends with it, also where it is left in the middle", () => {
  using source = database(...schema);
  const lines = dumpSql(source);
  lines.next();
  expect(source.isTransaction).toBe(true);
  lines.return(undefined);
  expect(source.isTransaction).toBe(false);
});
