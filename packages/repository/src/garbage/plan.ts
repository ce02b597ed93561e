import { toInstant } from "@stillpoint/contracts/names";
import { dueGenerations, sweptUpTo } from "./due.ts";
import type { GarbageSettings } from "./settings.ts";
import type { Pinned, Survey } from "./survey.ts";

export type Freed = { objects: number; bytes: number };
export type GarbagePlan = {
  /** By the storage's clock. */
  at: string;
  /** What a run deletes now. */
  freedNow: Freed;
  /** What goes at the first run from this moment on, oldest first; for what is not condemned yet, if a run is made now. */
  freedOn: (Freed & { at: string })[];
  /** What further runs condemn: more packs than one does. */
  later: Freed;
  /** Bytes that go when this ends, and the grace after it; those without an end go when somebody ends them. */
  pinned: (Pick<Pinned, "pin" | "what" | "bytes"> & { until?: string })[];
  /** Holders of leases that what is due waits for. */
  waitsFor: { holder: string; role: string; until: string }[];
  /** Bytes in packs that are needed in part: packs with enough of them are written anew. */
  waste: { bytes: number; packs: number };
  /** Backups in no point that cannot be read. */
  broken: string[];
};

/** Pure. `deleted`: what is gone since it was looked at. */
export function planOf(
  { nowMs, state, roots, scan, pinned, broken, fenceMs }: Survey,
  settings: GarbageSettings,
  deleted: ReadonlySet<string> = new Set(),
): GarbagePlan {
  const due = new Set(dueGenerations(state, nowMs, settings.graceMs).map(({ name }) => name));
  const floor = sweptUpTo(roots.leases);
  const now: Freed = { objects: 0, bytes: 0 };
  const later = new Map<number, Freed>();
  let waits = false;
  const add = (to: Freed, size: number) => {
    to.objects++;
    to.bytes += size;
  };
  for (const { object, size, storedMs } of scan.unreached) {
    if (deleted.has(object)) continue;
    const by = state.objects.get(object);
    const isBlocked = by !== undefined && by.document.generation > floor;
    if (by !== undefined && due.has(by.name) && !isBlocked) {
      add(now, size);
      continue;
    }
    const condemnedMs =
      by !== undefined && !state.void.has(by.name)
        ? by.storedMs
        : Math.max(nowMs, storedMs < fenceMs ? nowMs : storedMs + settings.youngMs);
    const atMs = Math.max(nowMs, condemnedMs + settings.graceMs);
    waits ||= isBlocked && by !== undefined && due.has(by.name);
    const freed = later.get(atMs) ?? { objects: 0, bytes: 0 };
    add(freed, size);
    later.set(atMs, freed);
  }
  return {
    at: toInstant(nowMs),
    freedNow: now,
    freedOn: [...later].sort(([a], [b]) => a - b).map(([atMs, freed]) => ({ at: toInstant(atMs), ...freed })),
    later: { ...scan.later },
    pinned: pinned.map(({ pin, what, bytes, untilMs }) => ({
      pin,
      what,
      bytes,
      ...(untilMs === undefined ? {} : { until: toInstant(untilMs) }),
    })),
    waitsFor: waits
      ? roots.leases.map(({ holder, role, storedMs, lengthMs }) => ({
          holder,
          role,
          until: toInstant(storedMs + lengthMs),
        }))
      : [],
    waste: { bytes: scan.wasteBytes, packs: scan.partialPacks },
    broken,
  };
}
