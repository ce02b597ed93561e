import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";

export type Objects = Map<string, { bytes: Uint8Array; modifiedMs: number }>;

/** A storage in memory whose clock stands until it is moved, and that can be copied as it is. */
export type HeldStore = { store: ObjectStore; objects: Objects; clock: { nowMs: number }; copy(): HeldStore };

export function heldStore(nowMs: number, objects: Objects = new Map(), url = "memory:"): HeldStore {
  const clock = { nowMs };
  return {
    store: { ...memoryStore(() => clock.nowMs, objects), url },
    objects,
    clock,
    // An object's bytes never change in place, so that the copies may share them.
    copy: () => heldStore(clock.nowMs, new Map(objects), url),
  };
}
