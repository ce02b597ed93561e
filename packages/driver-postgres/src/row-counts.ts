import { escapeIdentifier } from "pg";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { rowOf, rowsOf } from "./rows.ts";

/** Where the counts lie in the tree: they are known only after the mark was answered. */
export const COUNTS_PATH = "stillpoint/counts.json";

const tableName = z.object({ database: z.string(), schema: z.string(), table: z.string() });
export const rowCounts = z.object({
  cutId: z.uuid(),
  /** Exact, at the mark. */
  counted: z.array(tableName.extend({ rows: z.number().int().nonnegative() })),
  skipped: z.array(tableName.extend({ reason: z.string() })),
});
export type RowCounts = z.infer<typeof rowCounts>;

/** A snapshot held open on a connection that counts. */
export type Snapshot = { connection: Connection; database: string; next: bigint; running: boolean };

/** Opens a snapshot of what is committed now. Replaces the one that the connection held. */
export async function openSnapshot(connection: Connection, database: string): Promise<Snapshot> {
  const results = await connection.query(
    "rollback; begin isolation level repeatable read, read only; select pg_current_snapshot()::text as snapshot",
  );
  const { snapshot } = rowOf(results[2], z.object({ snapshot: z.string() }));
  const [, next = "", running = ""] = snapshot.split(":");
  return { connection, database, next: BigInt(next), running: running !== "" };
}

/**
 * Whether a snapshot shows exactly what a restore to the mark shows. No transaction that had an id was under way when
 * it was taken, and the mark's own transaction got the very next id after its record: so none began in between either.
 */
export function isExact(snapshot: Snapshot, markXid: bigint): boolean {
  return !snapshot.running && snapshot.next === markXid;
}

const table = z.object({
  oid: z.coerce.number(),
  schema: z.string(),
  name: z.string(),
  node: z.coerce.number(),
  /** Null: the table was dropped after the mark. The catalog is read as of then, the right to it as of now. */
  mayRead: z.boolean().nullable(),
  isFiltered: z.boolean(),
});
type Table = z.infer<typeof table>;

/** Ordinary tables and partitions that hold rows of their own, the small ones first. */
const TABLES = `
  select class.oid::bigint as oid, nspname as schema, relname as name, relfilenode::bigint as node,
    has_table_privilege(class.oid, 'select') and has_schema_privilege(namespace.oid, 'usage') as "mayRead",
    row_security_active(class.oid) as "isFiltered"
  from pg_class class join pg_namespace namespace on namespace.oid = relnamespace
  where relkind = 'r' and relpersistence = 'p'
    and nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\\_toast%'
  order by relpages, nspname, relname`;

/** Counts within a snapshot until the time is over; what is left is named. */
export async function countTables(snapshot: Snapshot, leftMs: () => number): Promise<Omit<RowCounts, "cutId">> {
  const result: Omit<RowCounts, "cutId"> = { counted: [], skipped: [] };
  const { connection, database } = snapshot;
  const [tables] = await connection.query(TABLES);
  for (const each of rowsOf(tables, table)) {
    const name = { database, schema: each.schema, table: each.name };
    const rows = await countTable(connection, each, Math.floor(leftMs()));
    if (typeof rows === "number") result.counted.push({ ...name, rows });
    else result.skipped.push({ ...name, reason: rows });
  }
  return result;
}

const answer = z.object({ rows: z.coerce.number().int(), node: z.coerce.number() });

/** The number of rows, or why there is none. Locks are given back table by table. */
async function countTable(connection: Connection, each: Table, leftMs: number): Promise<number | string> {
  if (each.mayRead === null) return "it was dropped after the mark";
  if (!each.mayRead) return "may not be read";
  if (each.isFiltered) return "row security hides rows";
  if (leftMs < 1) return "the time for counting was over";
  const relation = `${escapeIdentifier(each.schema)}.${escapeIdentifier(each.name)}`;
  const limits = `set local statement_timeout = ${leftMs}; set local lock_timeout = ${Math.min(leftMs, 500)}`;
  try {
    const results = await connection.query(
      `savepoint one; ${limits};
       select count(*)::text as rows, pg_relation_filenode(${each.oid})::bigint as node from only ${relation};
       rollback to savepoint one; release savepoint one`,
    );
    const { rows, node } = rowOf(results[3], answer);
    // A snapshot does not reach past a truncation or a rewrite: the table is another file since the mark.
    return node === each.node ? rows : "it was truncated or rewritten after the mark";
  } catch (error) {
    connection.check();
    await connection.query("rollback to savepoint one; release savepoint one");
    return error instanceof Error ? error.message : String(error);
  }
}
