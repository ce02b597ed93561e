import { startHolder } from "./holder-client.ts";
import type { WalDatabase } from "./wal-database.ts";

export type Counts = Record<string, number>;

export interface Counting extends AsyncDisposable {
  /** Keeps this moment of the databases for counting. */
  pin(databases: readonly WalDatabase[]): Promise<void>;
  /** Lets it go, for it keeps their logs from being restarted. */
  unpin(databases: readonly WalDatabase[]): Promise<void>;
  /** Rows by table at that moment, by the database's name; lets it go. */
  count(databases: readonly WalDatabase[]): Promise<ReadonlyMap<string, Counts>>;
}

/**
 * Counts rows in the source itself, so that a restore is held against what the application had and not against our own
 * copy. A process of its own, for counting blocks it and may be given up.
 */
export async function startCounting(signal: AbortSignal): Promise<Counting> {
  const holder = await startHolder(signal);
  const paths = (databases: readonly WalDatabase[]) => databases.map((each) => each.found.path);
  return {
    async pin(databases) {
      await holder.ask("pin", { paths: paths(databases) });
    },
    async unpin(databases) {
      await holder.ask("unpin", { paths: paths(databases) });
    },
    async count(databases) {
      const counts = new Map<string, Counts>();
      for (const { found } of databases) {
        counts.set(found.name, (await holder.ask("count", { path: found.path })).counts);
        await holder.ask("unpin", { paths: [found.path] });
      }
      return counts;
    },
    async [Symbol.asyncDispose]() {
      await holder[Symbol.asyncDispose]();
    },
  };
}
