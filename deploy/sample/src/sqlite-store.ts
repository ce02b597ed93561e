import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { Content } from "./content.ts";
import { ForeignDataError, type SampleStore, writtenAt } from "./store.ts";

export type SqliteConnection = { path: string };

/** A writer that finds the database locked comes back later: waiting here would hold up every other store's writes. */
const BUSY_MS = 20;

const marker = z.object({
  seed: z.string(),
  documents: z.number(),
  finished: z.number().transform((value) => value === 1),
});
const document = z.object({ id: z.string(), seq: z.number() });

export function openSqlite(connection: SqliteConnection): SampleStore {
  mkdirSync(dirname(connection.path), { recursive: true });
  const database = new DatabaseSync(connection.path, { timeout: BUSY_MS });
  database.exec("pragma journal_mode = wal");
  const tables = () =>
    database
      .prepare("select name from sqlite_schema where type = 'table'")
      .all()
      .map((row) => String(row.name));
  function transaction(work: () => void): void {
    database.exec("begin immediate");
    try {
      work();
      database.exec("commit");
    } catch (error) {
      database.exec("rollback");
      throw error;
    }
  }
  function put(content: Content): void {
    database
      .prepare(
        `insert into session (id, seq, data, started_at) values (?, ?, ?, ?)
         on conflict (id) do update set seq = excluded.seq, data = excluded.data, started_at = excluded.started_at`,
      )
      .run(content.id, content.seq, content.session, writtenAt(content.seq));
  }

  return {
    name: "sqlite",
    async marker() {
      const found = tables();
      if (found.includes("sample_marker")) {
        return marker.parse(database.prepare("select seed, documents, finished from sample_marker").get());
      }
      if (found.length > 0) throw new ForeignDataError("sqlite", `a table named ${found[0]}`);
      return undefined;
    },
    async clear() {
      database.exec("drop table if exists session; drop table if exists sample_marker; vacuum");
    },
    async begin({ seed, documents }) {
      database.exec(
        `create table sample_marker (seed text not null, documents integer not null, finished integer not null);
         create table session (id text primary key, seq integer not null unique, data text not null, started_at text not null)`,
      );
      database.prepare("insert into sample_marker values (?, ?, 0)").run(seed, documents);
    },
    async load(rows) {
      transaction(() => {
        for (const { content } of rows) put(content);
      });
    },
    async finish() {
      database.exec("update sample_marker set finished = 1; pragma wal_checkpoint(truncate)");
    },
    async apply(write, content) {
      transaction(() => {
        put(content);
        if (write.removes !== undefined) database.prepare("delete from session where id = ?").run(write.removes.id);
      });
    },
    async documents() {
      const rows = database.prepare("select id, seq from session").all();
      return new Map(rows.map((row) => document.parse(row)).map(({ id, seq }) => [id, seq]));
    },
    async close() {
      database.close();
    },
  };
}
