import { setTimeout as delay } from "node:timers/promises";
import { type CollectionSnapshot, createSnapshot, deleteSnapshot } from "./collection-snapshot.ts";
import type { QdrantServer } from "./server.ts";

/** The snapshot files that we had the server make. They fill its disk, so each is deleted, whatever becomes of the cut. */
export type SnapshotKeeper = AsyncDisposable & {
  /**
   * Rejects as soon as the signal fires. The server goes on with the snapshot all the same, so its answer is waited for
   * behind the scenes and the file deleted.
   */
  create(collection: string, peer: QdrantServer, signal: AbortSignal): Promise<CollectionSnapshot>;
  /** Deletes what was made so far. */
  clear(): Promise<void>;
};

/** At the end: how long an answer that is still out is waited for, and what a deletion may take. */
const LAST_WAIT_MS = 10_000;

type Log = (message: string, fields?: Record<string, unknown>) => void;

export function snapshotKeeper(log: Log): SnapshotKeeper {
  const kept = new Set<CollectionSnapshot>();
  const creating = new Map<Promise<unknown>, string>();
  const abandoning = new AbortController();

  const remove = async (snapshot: CollectionSnapshot) => {
    await deleteSnapshot(snapshot, AbortSignal.timeout(LAST_WAIT_MS));
    kept.delete(snapshot);
  };
  const clear = async () => {
    await Promise.all([...kept].map(remove));
  };

  return {
    clear,
    async create(collection, peer, signal) {
      signal.throwIfAborted();
      const created = createSnapshot(peer, collection, abandoning.signal).then((snapshot) => {
        kept.add(snapshot);
        return snapshot;
      });
      const settled = created.then(
        () => undefined,
        () => undefined,
      );
      creating.set(settled, collection);
      void settled.then(() => creating.delete(settled));
      const { promise: ended, reject } = Promise.withResolvers<never>();
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await Promise.race([created, ended]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.race([Promise.all(creating.keys()), delay(LAST_WAIT_MS, undefined, { ref: false })]);
      for (const collection of creating.values())
        log("a snapshot was still being made and stays on the server", { collection });
      abandoning.abort();
      await clear();
    },
  };
}
