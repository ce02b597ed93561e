import { Readable } from "node:stream";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { type Connection, type ConnectOptions, connect } from "./connection.ts";
import { COUNTS_PATH, countTables, isExact, openSnapshot, type RowCounts, type Snapshot } from "./row-counts.ts";

/** Each counted database holds a connection of the source's from `settle` to the end of the capture. */
const MAX_DATABASES = 16;

/** What counting may take in all, beside the upload of the log; the tables that it does not reach are named. */
const BUDGET_MS = 3_000;

export type Counting = AsyncDisposable & {
  /** Connects, so that the mark need not. */
  settle: () => Promise<void>;
  /** Opens snapshots in all databases, right before the mark is taken. */
  openSnapshots: () => Promise<void>;
  /** Keeps the snapshots that show what a restore to this mark shows, and says what will not be counted. */
  keep: (cutId: string, markXid: bigint) => Promise<string[]>;
  /** The rows at the mark; the same when asked again. Gives the snapshots back. */
  count: (cutId: string) => Promise<RowCounts>;
};

/** Counts rows at a mark after it was answered, in snapshots that were opened with it: nobody waits for a count. */
export function openCounting(
  options: Omit<ConnectOptions, "what">,
  databases: readonly { name: string; mayConnect: boolean }[],
  { log, monotonicMs }: Pick<DriverContext, "log" | "monotonicMs">,
): Counting {
  const names = databases.filter(({ mayConnect }) => mayConnect).map(({ name }) => name);
  const reached = names.slice(0, MAX_DATABASES);
  const connections = new Map<string, Connection>();
  let snapshots: Snapshot[] = [];
  let result: RowCounts | undefined;

  const release = async (released: readonly Snapshot[]) => {
    const ends = await Promise.allSettled(released.map(({ connection }) => connection.query("rollback")));
    for (const end of ends)
      if (end.status === "rejected") log("a counting connection is lost", { why: String(end.reason) });
  };
  return {
    async settle() {
      for (const database of reached) {
        if (connections.get(database)?.isLost() === false) continue;
        connections.set(database, await connect({ ...options, database, what: "Cannot count PostgreSQL's rows" }));
      }
    },
    async openSnapshots() {
      result = undefined;
      // A count that fails costs the proof a check, but never the mark.
      const opened = await Promise.allSettled(
        [...connections].map(([database, connection]) => openSnapshot(connection, database)),
      );
      snapshots = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      for (const each of opened) {
        if (each.status === "rejected") log("a database is not counted", { why: String(each.reason) });
      }
    },
    async keep(cutId, markXid) {
      const exact = snapshots.filter((snapshot) => isExact(snapshot, markXid));
      const inexact = snapshots.filter((snapshot) => !exact.includes(snapshot));
      snapshots = exact;
      result = undefined;
      await release(inexact);
      log("mark taken", { cutId, countedDatabases: exact.length });
      const missing = names.filter((name) => !exact.some(({ database }) => database === name));
      return missing.length === 0
        ? []
        : [`rows are not counted, for transactions were under way: ${missing.join(", ")}`];
    },
    async count(cutId) {
      if (result?.cutId === cutId) return result;
      const started = monotonicMs();
      const sum: RowCounts = { cutId, counted: [], skipped: [] };
      for (const snapshot of snapshots) {
        try {
          const { counted, skipped } = await countTables(snapshot, () => BUDGET_MS - (monotonicMs() - started));
          sum.counted.push(...counted);
          sum.skipped.push(...skipped);
        } catch (error) {
          options.signal.throwIfAborted();
          log("a database is not counted", { database: snapshot.database, why: String(error) });
        }
      }
      await release(snapshots);
      snapshots = [];
      result = sum;
      return sum;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...connections.values()].map((connection) => connection[Symbol.asyncDispose]()));
    },
  };
}

export async function addCounts(tree: TreeWriter, counts: RowCounts, mtimeMs: number): Promise<void> {
  const body = Buffer.from(`${JSON.stringify(counts, undefined, 1)}\n`);
  const metadata = { path: COUNTS_PATH, mode: 0o600, mtimeMs, size: body.length } as const;
  await tree.add({ type: "directory", path: "stillpoint", mode: 0o700, mtimeMs });
  await tree.add({ type: "file", hint: "content", ...metadata }, Readable.from([body]));
}
