import { createHash } from "node:crypto";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { replicationCommand } from "./copy-stream.ts";
import { type Lsn, parseLsn } from "./lsn.ts";
import { rowOf } from "./rows.ts";
import type { SlotState } from "./ship-start.ts";

/** The same for good, and another for everybody else who ships this server. */
export function shipSlotName(owner: string): string {
  return `stillpoint_${createHash("sha256").update(owner).digest("hex").slice(0, 16)}`;
}

const lsn = z.string().transform(parseLsn);
const view = z.object({ flush: lsn, present: z.boolean(), restart: lsn.nullable(), status: z.string().nullable() });

export type ServerView = { flush: Lsn; slot: SlotState | undefined };

/** Where the server is, by its own word, and what it keeps for us. */
export async function viewServer(connection: Connection, slotName: string): Promise<ServerView> {
  const [answer] = await connection.query(
    `select pg_current_wal_flush_lsn()::text as flush, slot_name is not null as present,
       restart_lsn::text as restart, wal_status as status
     from (select 1) as one left join pg_replication_slots on slot_name = $1`,
    [slotName],
  );
  const { flush, present, restart, status } = rowOf(answer, view);
  return { flush, slot: present ? { restart, status } : undefined };
}

/**
 * Makes the slot, which keeps the WAL from where the server stands. As it is made it keeps it from the last checkpoint on:
 * no base begins there any more, and after a slot that was given up that may be too much at once. A checkpoint that begins just
 * then lies ahead of where the WAL is flushed to, and a slot does not go back.
 */
export async function makeSlot(replication: Connection, sql: Connection, name: string): Promise<void> {
  await replicationCommand(replication, `CREATE_REPLICATION_SLOT ${name} PHYSICAL RESERVE_WAL`);
  await sql.query(
    `select pg_replication_slot_advance(slot_name, flushed)
     from pg_replication_slots, pg_current_wal_flush_lsn() flushed where slot_name = $1 and restart_lsn < flushed`,
    [name],
  );
}

/** `wait`: for the connection that reads from it, which is known to end. */
export async function dropSlot(replication: Connection, name: string, wait?: "wait"): Promise<void> {
  await replicationCommand(replication, `DROP_REPLICATION_SLOT ${name}${wait === undefined ? "" : " WAIT"}`);
}
