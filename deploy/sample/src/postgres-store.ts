import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Pool } from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { from as copyFrom } from "pg-copy-streams";
import type { Content } from "./content.ts";
import { ForeignDataError, type Marker, type Row, type SampleStore, type Write, writtenAt } from "./store.ts";

export type PostgresConnection = { url: string; password?: string };

/** The log of writes is a window: older rows go as new ones come. */
const WRITE_LOG_ROWS = 50_000;

// Bodies are kept out of line and uncompressed, so that the size that was asked for is the size on disk.
const SCHEMA = `
  create table sample_marker (seed text not null, documents integer not null, finished boolean not null);
  create table document (
    id uuid primary key,
    seq bigint not null unique,
    title text not null,
    body text not null,
    written_at timestamptz not null
  );
  alter table document alter column body set storage external;
  create table write_log (seq bigint primary key, id uuid not null, at timestamptz not null);
`;

export function openPostgres(connection: PostgresConnection): SampleStore {
  const pool = new Pool({
    // pg itself would take the URL's missing password for an empty one, over that beside it.
    ...parseIntoClientConfig(connection.url),
    max: 8,
    connectionTimeoutMillis: 5_000,
    query_timeout: 120_000,
    ...(connection.password === undefined ? {} : { password: connection.password }),
  });
  // A connection that breaks while idle is replaced by the pool; the write that meets the outage reports it.
  pool.on("error", () => {});

  return {
    name: "postgres",
    async marker() {
      const tables = await pool.query<{ marker: boolean; document: boolean }>(
        "select to_regclass('sample_marker') is not null as marker, to_regclass('document') is not null as document",
      );
      const found = tables.rows[0];
      if (found?.marker !== true) {
        if (found?.document === true) throw new ForeignDataError("postgres", "a table named document");
        return undefined;
      }
      const rows = await pool.query<Marker>("select seed, documents, finished from sample_marker");
      return rows.rows[0];
    },
    async clear() {
      await pool.query("drop table if exists document, write_log, sample_marker");
    },
    async begin(marker) {
      await pool.query(`begin; ${SCHEMA} commit`);
      await pool.query("insert into sample_marker values ($1, $2, false)", [marker.seed, marker.documents]);
    },
    async load(rows) {
      await copy(pool, "document (id, seq, title, body, written_at)", rows, ({ content }) => [
        content.id,
        content.seq,
        content.title,
        content.body,
        writtenAt(content.seq),
      ]);
      await copy(pool, "write_log (seq, id, at)", rows, ({ content }) => [
        content.seq,
        content.id,
        writtenAt(content.seq),
      ]);
    },
    async finish() {
      await pool.query("update sample_marker set finished = true");
      await pool.query("analyze document, write_log");
    },
    async apply(write, content) {
      await inTransaction(pool, write, content);
    },
    async documents() {
      const rows = await pool.query<{ id: string; seq: string }>("select id, seq from document");
      return new Map(rows.rows.map(({ id, seq }) => [id, Number(seq)]));
    },
    async close() {
      await pool.end();
    },
  };
}

/** Contents hold no tab, newline or backslash, so COPY's text format needs no escaping. */
async function copy(pool: Pool, table: string, rows: readonly Row[], columns: (row: Row) => (string | number)[]) {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    const lines = Readable.from(rows.map((row) => `${columns(row).join("\t")}\n`));
    await pipeline(lines, client.query(copyFrom(`copy ${table} from stdin`)));
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(failure);
  }
}

async function inTransaction(pool: Pool, write: Write, content: Content): Promise<void> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query("begin");
    await client.query(
      `insert into document (id, seq, title, body, written_at) values ($1, $2, $3, $4, $5)
       on conflict (id) do update
       set seq = excluded.seq, title = excluded.title, body = excluded.body, written_at = excluded.written_at`,
      [write.id, write.seq, content.title, content.body, writtenAt(write.seq)],
    );
    if (write.removes !== undefined) await client.query("delete from document where id = $1", [write.removes.id]);
    await client.query("insert into write_log (seq, id, at) values ($1, $2, $3) on conflict (seq) do nothing", [
      write.seq,
      write.id,
      writtenAt(write.seq),
    ]);
    await client.query("delete from write_log where seq <= $1", [write.seq - WRITE_LOG_ROWS]);
    await client.query("commit");
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A connection in an unknown state is closed, which ends its transaction.
    client.release(failure);
  }
}
