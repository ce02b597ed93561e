import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectInfo, ObjectStore } from "@stillpoint/object-store/object-store";
import { inParallel } from "./in-parallel.ts";
import { EXEMPT, kindOf } from "./kinds-replicated.ts";

const CLOCK_HOLDS_MS = 600_000;
const ASKS_AT_ONCE = 16;

/** Leases and lists of what is to be deleted must go when they are done with; what is no object of ours is not locked. */
function isLocked(name: string): boolean {
  const kind = kindOf(name);
  return kind !== undefined && !EXEMPT.some((exempt) => exempt === kind);
}

/** Every new object is locked for so long, counted by the storage's clock. `now`: this machine's, in milliseconds. */
export function withObjectLock(store: ObjectStore, lockMs: number, now: () => number): ObjectStore {
  let offset: { ms: number; atMs: number } | undefined;
  async function storageNow(signal?: AbortSignal): Promise<number> {
    if (offset === undefined || now() - offset.atMs > CLOCK_HOLDS_MS || now() < offset.atMs)
      offset = { ms: (await store.now(signal)) - now(), atMs: now() };
    return now() + offset.ms;
  }
  return {
    ...store,
    async put(name, body, options) {
      if (!isLocked(name)) return store.put(name, body, options);
      await store.put(name, body, { ...options, retainUntilMs: (await storageNow(options?.signal)) + lockMs });
    },
  };
}

/** A target whose store locks what is written to it, where the target says so. */
export function locking<Target extends { store: ObjectStore; lockMs?: number | undefined }>(
  target: Target,
  now: () => number,
): Target {
  const { store, lockMs } = target;
  return lockMs === undefined ? target : { ...target, store: withObjectLock(store, lockMs, now) };
}

export type LockFigures = { locked: number; extended: number; legalHolds: number };

/**
 * Locks are extended while something is referenced: of what lives on, none has less than half of the time left. What is
 * condemned is left to its lock's end. To be called more often than every half of `lockMs`.
 */
export async function extendLocks(
  store: ObjectStore,
  {
    lockMs,
    condemned,
    signal,
  }: { lockMs: number; condemned: { has(name: string): boolean }; signal?: AbortSignal | undefined },
): Promise<LockFigures> {
  const figures: LockFigures = { locked: 0, extended: 0, legalHolds: 0 };
  const { locks } = store;
  if (locks === undefined || !(await locks.available(signal))) return figures;
  const nowMs = await store.now(signal);
  // Each is asked: one that was written before locks were configured, or moved to another class, has none.
  const extend = async ({ name }: ObjectInfo) => {
    try {
      const { retainedUntilMs = 0, legalHold } = await locks.state(name, signal);
      if (legalHold) figures.legalHolds++;
      if (retainedUntilMs < nowMs + lockMs / 2) {
        await locks.extend(name, nowMs + lockMs, signal);
        figures.extended++;
      }
      figures.locked++;
    } catch (error) {
      // Deleted since it was listed: it needs no lock.
      if (!(error instanceof StillpointError && error.code === "OBJECT_MISSING")) throw error;
    }
  };
  let some: ObjectInfo[] = [];
  for await (const object of store.list("", { signal })) {
    if (!isLocked(object.name) || condemned.has(object.name)) continue;
    some.push(object);
    if (some.length < 1000) continue;
    await inParallel(some, ASKS_AT_ONCE, extend);
    some = [];
  }
  await inParallel(some, ASKS_AT_ONCE, extend);
  return figures;
}
