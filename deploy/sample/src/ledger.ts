import { idOf } from "./content.ts";
import { below, fraction, type Random } from "./random.ts";
import type { Write } from "./store.ts";

/**
 * Which writes were issued, which are under way, and which document has which sequence number. A document that a write
 * under way concerns is taken by no other, so that the stores never see two writes of one document in different orders.
 */
export type Ledger = {
  issue(): Write;
  /** Takes up a write that was issued before a restart and never acknowledged. */
  resume(write: Write): void;
  acknowledge(seq: number): void;
  /** Every sequence number up to this one is in every store. */
  acknowledged(): number;
  underWay(): number;
  /** Resolves when no write is under way. */
  drained(): Promise<void>;
};

export type LedgerStart = {
  seed: string;
  /** Document id → sequence number, as it lies in the stores. */
  documents: ReadonlyMap<string, number>;
  /** The highest sequence number ever issued. */
  sequence: number;
  /** At this many documents a new one takes the place of an old one. */
  maxDocuments: number;
  random: Random;
};

export function createLedger(start: LedgerStart): Ledger {
  const free = new Map(start.documents);
  const ids = [...free.keys()];
  const underWay = new Map<number, Write>();
  const waiting: (() => void)[] = [];
  let sequence = start.sequence;

  /** A document that no write under way concerns, taken out of the free ones. */
  function take(): { id: string; seq: number } | undefined {
    const at = below(start.random, Math.max(1, ids.length));
    const id = ids[at];
    const seq = id === undefined ? undefined : free.get(id);
    if (id === undefined || seq === undefined) return undefined;
    const last = ids.pop();
    if (last !== undefined && last !== id) ids[at] = last;
    free.delete(id);
    return { id, seq };
  }

  function look(): string | undefined {
    return ids[below(start.random, Math.max(1, ids.length))];
  }

  return {
    issue() {
      const seq = ++sequence;
      const full = free.size + underWay.size >= start.maxDocuments;
      const roll = fraction(start.random);
      const taken = full || roll < 0.3 ? take() : undefined;
      const relatesTo = [look(), look(), look()].filter((id) => id !== undefined);
      const write: Write = { seq, id: idOf(start.seed, seq), relatesTo: [...new Set(relatesTo)] };
      if (taken !== undefined && !full && roll < 0.2) {
        write.id = taken.id;
        write.replaces = taken.seq;
      } else if (taken !== undefined) {
        write.removes = taken;
      }
      underWay.set(seq, write);
      return write;
    },
    resume(write) {
      for (const id of [write.id, write.removes?.id]) {
        if (id === undefined || !free.delete(id)) continue;
        ids.splice(ids.indexOf(id), 1);
      }
      sequence = Math.max(sequence, write.seq);
      underWay.set(write.seq, write);
    },
    acknowledge(seq) {
      const write = underWay.get(seq);
      if (write === undefined) throw new Error(`write ${seq} is not under way`);
      underWay.delete(seq);
      free.set(write.id, seq);
      ids.push(write.id);
      if (underWay.size === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    acknowledged() {
      return underWay.size === 0 ? sequence : Math.min(...underWay.keys()) - 1;
    },
    underWay() {
      return underWay.size;
    },
    drained() {
      return underWay.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
  };
}
