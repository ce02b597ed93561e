import type { LogTarget } from "@stillpoint/contracts/log";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { formatLsn, type Lsn, parseLsn } from "./lsn.ts";
import { rowOf } from "./rows.ts";

export type TakenMark = {
  target: { by: "name"; name: string } | { by: "lsn" };
  lsn: Lsn;
  timeline: number;
  /** Flushed when the mark was answered; the marking record is before it. */
  until: Lsn;
  /** The transaction that followed the marking record, inside the same commit. */
  xid: bigint;
  tablespaces: string[];
};

const marked = z.object({ lsn: z.string().transform(parseLsn) });
const followed = z.object({ xid: z.coerce.bigint() });
const flushed = z.object({
  until: z.string().transform(parseLsn),
  timeline: z.coerce.number().int(),
  tablespaces: z.array(z.string()),
});

const FURTHER_TABLESPACES =
  "array(select oid from pg_tablespace where spcname not in ('pg_default', 'pg_global') order by oid)::text[]";

/** Committed on this machine's disk, not waiting for standbys. */
export const MARK_SETTINGS = { synchronous_commit: "local" };

/**
 * Marks the WAL in one round trip. A restore point alone does not flush; the commit of a transaction that has an id
 * does. The id is taken after the marking record, so that whoever compares it with a snapshot's next id learns whether
 * a transaction began in between.
 */
export async function takeMark(connection: Connection, cutId: string, mayMark: boolean): Promise<TakenMark> {
  const name = restorePointName(cutId);
  const marking = mayMark
    ? `pg_create_restore_point('${name}')`
    : `pg_logical_emit_message(false, 'stillpoint', '${name}')`;
  const results = await connection.query(`
    begin;
    select ${marking}::text as lsn;
    select pg_current_xact_id()::text as xid;
    commit;
    select pg_current_wal_flush_lsn()::text as until,
      ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int as timeline,
      ${FURTHER_TABLESPACES} as tablespaces`);
  const [, mark, transaction, , state] = results;
  return {
    target: mayMark ? { by: "name", name } : { by: "lsn" },
    ...rowOf(mark, marked),
    ...rowOf(transaction, followed),
    ...rowOf(state, flushed),
  };
}

/** The mark, in the words of a restore from the log. */
export function logTargetOf({ target, lsn }: Pick<TakenMark, "target" | "lsn">): LogTarget {
  return target.by === "name" ? target : { by: "position", at: formatLsn(lsn), inclusive: false };
}

/** The name that recovery stops at: 39 characters of the 63 that PostgreSQL allows. */
export function restorePointName(cutId: string): string {
  return `sp_${z.uuid().parse(cutId)}`;
}

/** Object ids of the tablespaces beyond the two that every cluster has. */
export async function furtherTablespaces(connection: Connection): Promise<string[]> {
  const [answer] = await connection.query(`select ${FURTHER_TABLESPACES} as tablespaces`);
  return rowOf(answer, flushed.pick({ tablespaces: true })).tablespaces;
}
