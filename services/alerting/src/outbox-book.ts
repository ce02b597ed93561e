import type { Change } from "@stillpoint/bus/kv-value";
import type { Notice } from "@stillpoint/contracts/alerts";
import type { Kept } from "./outbox.ts";

/** The outbox as the bus tells it, with what we know before it is told to us. */
export type OutboxBook = {
  all: () => Kept[];
  learn: (kept: Kept) => void;
  /** Taken away by us at this revision; an older telling of it does not bring it back. */
  forget: (key: string, revision: number) => void;
  take: (change: Change<Notice>) => void;
};

export function outboxBook(): OutboxBook {
  const kept = new Map<string, Kept>();
  const gone = new Map<string, number>();
  const learn = (one: Kept) => {
    const newest = Math.max(kept.get(one.key)?.revision ?? 0, gone.get(one.key) ?? 0);
    if (one.revision > newest) kept.set(one.key, one);
  };
  return {
    all: () => [...kept.values()],
    learn,
    forget: (key, revision) => {
      kept.delete(key);
      gone.set(key, revision);
    },
    take: (change) => {
      if (change.type === "put") learn({ key: change.key, notice: change.value, revision: change.revision });
      else if (change.type === "deleted") {
        kept.delete(change.key);
        gone.delete(change.key);
      }
    },
  };
}
