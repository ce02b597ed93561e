import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import type { StartCaptured } from "./captured-store.ts";

const ROW_BYTES = 500;
const CHANGED_PART = 100;

/** One database in WAL mode, of rows that do not compress. */
export const startCapturedSqlite: StartCaptured = async ({ directory, megabytes }) => {
  const path = join(directory, "app.db");
  const rows = Math.ceil((megabytes * 1e6) / ROW_BYTES);
  const database = new DatabaseSync(path);
  database.exec("pragma journal_mode = wal; create table item (id integer primary key, content blob)");
  const insert = database.prepare("insert or replace into item values (?, ?)");
  const write = (from: number, count: number) => {
    database.exec("begin");
    for (let id = from; id < from + count; id += 1) insert.run(id, randomBytes(ROW_BYTES));
    database.exec("commit");
  };
  write(0, rows);
  // What was written to fill it is no log of a change.
  database.exec("pragma wal_checkpoint(truncate)");
  let turn = 0;
  let copies = 0;
  const next = (at: string) => join(at, `copy-${++copies}.db`);
  return {
    name: "SQLite",
    source: { kind: "sqlite", path },
    environment: {},
    async change() {
      const part = Math.ceil(rows / CHANGED_PART);
      write((turn++ * 7 * part) % (rows - part), part);
    },
    tools: [
      {
        name: "SQLite's .backup",
        async full(at) {
          await backup(database, next(at));
        },
      },
      {
        name: "VACUUM INTO",
        async full(at) {
          database.prepare("vacuum into ?").run(next(at));
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      database.close();
    },
  };
};
