import type { Holder } from "./holder-client.ts";
import type { ShippedDatabase } from "./shipped-database.ts";
import { isEqual } from "./wal-format.ts";
import type { WalIndex } from "./wal-index.ts";

/** So fast a log grows whose application pays for checkpoints that it tries in vain: at two frames a commit, 2500 of these a second. */
const FAST_FRAMES_PER_MS = 5;

/**
 * While an application writes without a pause, checkpoints of its database are ours alone. Else it may make its own: what it
 * tries in vain is then little, and an application that wants its whole log checkpointed is not to be refused.
 */
export function keepCheckpoints(holder: Holder, monotonicMs: () => number) {
  const before = new Map<ShippedDatabase, { index: WalIndex; ms: number }>();
  const kept = new Set<ShippedDatabase>();
  /** Whose checkpoints are not made by us. */
  const left = new Set<ShippedDatabase>();
  const keep = async (database: ShippedDatabase, wanted: boolean) => {
    const answer = await holder.ask("keep", { path: database.found.path, keep: wanted });
    if (answer.kept) kept.add(database);
    else kept.delete(database);
  };
  return {
    /** At each look. */
    async seen(database: ShippedDatabase, index: WalIndex): Promise<void> {
      const ms = monotonicMs();
      const last = before.get(database);
      before.set(database, { index, ms });
      if (last === undefined || left.has(database)) return;
      const isSame = isEqual(index.salts, last.index.salts);
      const frames = isSame ? index.frames - last.index.frames : index.frames;
      const isFast = frames > 0 && frames >= FAST_FRAMES_PER_MS * (ms - last.ms);
      if (isFast || kept.has(database)) await keep(database, isFast);
    },
    /** Nothing can be seen: who repairs a log that a writer died in needs this lock too. */
    async release(): Promise<void> {
      for (const database of [...kept]) await keep(database, false);
    },
    /** This database cannot be checkpointed by us. */
    async leave(database: ShippedDatabase): Promise<void> {
      left.add(database);
      if (kept.has(database)) await keep(database, false);
    },
  };
}
