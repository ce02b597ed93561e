import { UNSEALED_MS } from "../leases/seal-point.ts";

const DAY_MS = 86_400_000;

/** Every span that stands between a deletion and the loss of data; all by the storage's clock. */
export type GarbageSettings = {
  /** For so long a deleted point is kept whole, and can be undeleted with certainty. */
  undeleteMs: number;
  /** So long after it was condemned an object is deleted: a writer must come round in it, and a person may change their mind. */
  graceMs: number;
  /** A complete backup that is in no point is kept for so long. Longer than any seal takes: what is sealed on it later is refused. */
  unsealedMs: number;
  /** A younger object is never condemned: an upload that broke off is taken up again. */
  youngMs: number;
  /**
   * How far back any moment of a plan's sources can be had: what their log is kept for. Who does not know a plan keeps all of
   * its log that has a base: there may be somebody who does.
   */
  keepLogMs: (plan: string) => number;
  /** A pack of whose bytes at least this part is needed no more is written anew. */
  waste: number;
  /** Bytes of packs that one run writes anew at most. */
  rewriteBytes: number;
  /**
   * Packs that one run condemns, or writes anew, at most; the next one goes on. What a run holds in memory is bounded by it,
   * however much of a repository is garbage.
   */
  mostPacks: number;
  /** So many small index objects are merged into large ones. */
  mergeFrom: number;
};

export const GARBAGE_SETTINGS: GarbageSettings = {
  undeleteMs: 7 * DAY_MS,
  graceMs: DAY_MS,
  unsealedMs: UNSEALED_MS,
  youngMs: DAY_MS,
  keepLogMs: () => Number.POSITIVE_INFINITY,
  waste: 0.2,
  rewriteBytes: 10_737_418_240,
  mostPacks: 100_000,
  mergeFrom: 1_000,
};
