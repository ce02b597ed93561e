import { setTimeout as delay } from "node:timers/promises";
import type { DriverContext } from "@stillpoint/driver/driver";
import { z } from "zod";
import { type Connection, type ConnectOptions, connect } from "./connection.ts";
import { rowOf } from "./rows.ts";

/** A snapshot that pg_dump takes over, held open on this connection. */
export type HeldSnapshot = { database: string; connection: Connection; id: string; shows: string };

export type TakenSnapshots = {
  snapshots: HeldSnapshot[];
  /** All databases are shown as of one moment: the same transactions have ended in each. */
  isOne: boolean;
  spanMs: number;
};

export type Snapshots = AsyncDisposable & {
  /** Connects to each database, so that taking is quick. */
  settle: () => Promise<void>;
  /** Replaces what was held. */
  take: (budgetMs: number) => Promise<TakenSnapshots>;
};

/** Tries at one moment for all databases: between two of them somebody may have committed. */
const TRIES = 20;
const PAUSE_MS = 5;

const answer = z.object({ id: z.string(), shows: z.string() });

export function openSnapshots(
  options: Omit<ConnectOptions, "what">,
  databases: readonly string[],
  { monotonicMs }: Pick<DriverContext, "monotonicMs">,
): Snapshots {
  const connections = new Map<string, Connection>();

  const takeOne = async (database: string): Promise<HeldSnapshot> => {
    const connection = connections.get(database);
    if (connection === undefined) throw new TypeError(`no connection to ${database}: it was not settled`);
    // The ids of all databases' transactions are one sequence, so that snapshots of several can be compared.
    const results = await connection.query(
      "rollback; begin isolation level repeatable read, read only; select pg_export_snapshot() as id, pg_current_snapshot()::text as shows",
    );
    return { database, connection, ...rowOf(results[2], answer) };
  };
  return {
    async settle() {
      for (const database of databases) {
        if (connections.get(database)?.isLost() === false) continue;
        connections.set(database, await connect({ ...options, database, what: "Cannot read PostgreSQL's rows" }));
      }
    },
    async take(budgetMs) {
      const startedMs = monotonicMs();
      for (let tries = 1; ; tries += 1) {
        const beganMs = monotonicMs();
        const snapshots = await Promise.all(databases.map(takeOne));
        const endedMs = monotonicMs();
        const isOne = new Set(snapshots.map(({ shows }) => shows)).size <= 1;
        // Half of the budget: the answer has a way to go.
        if (isOne || tries === TRIES || endedMs - startedMs > budgetMs / 2)
          return { snapshots, isOne, spanMs: Math.ceil(endedMs - beganMs) };
        await delay(PAUSE_MS);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...connections.values()].map((connection) => connection[Symbol.asyncDispose]()));
    },
  };
}
