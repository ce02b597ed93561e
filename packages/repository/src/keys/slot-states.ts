import { changeLog } from "../changes/change-log.ts";
import type { NewestChanges } from "../changes/newest.ts";
import type { KeySlot } from "../format/documents.ts";
import type { KeyContext } from "./key-context.ts";
import type { KeyRing } from "./key-ring.ts";
import { isGenuine, type ReadSlot } from "./key-slot.ts";
import { readSlots } from "./read-slots.ts";

/**
 * `active`: opens the repository. `retired`: is to open nothing any more; the target still keeps its object. `earlier`: holds a
 * repository key from before the newest epoch. `stray`: left behind by an attempt that broke off; it holds no key of this
 * repository. `forged`: says that it holds the repository key, and was not written by who had it.
 */
export type SlotState = "active" | "retired" | "earlier" | "stray" | "forged";

export type KnownSlot = { slot: ReadSlot; state: SlotState };

/** Pure. */
export function slotState(
  slot: ReadSlot,
  ring: Pick<KeyRing, "repositoryId" | "master" | "mastersBefore">,
  newest: NewestChanges,
): SlotState {
  const { master } = slot.document;
  const key = [ring.master, ...ring.mastersBefore].find((each) => each.master === master);
  if (key === undefined) return "stray";
  if (!isGenuine(slot, key, ring.repositoryId)) return "forged";
  if (newest.of("slot", slot.name)?.change === "retire-slot") return "retired";
  return master === ring.master.master ? "active" : "earlier";
}

/** Every slot that can be read, newest first; the damaged ones by name. */
export async function knownSlots(context: KeyContext): Promise<{ slots: KnownSlot[]; damaged: string[] }> {
  const { slots, damaged } = await readSlots(context.store);
  const newest = await changeLog(context).newest();
  return {
    slots: slots.map((slot) => ({ slot, state: slotState(slot, context.ring, newest) })),
    damaged: damaged.map(({ name }) => name),
  };
}

export async function activeSlots(context: KeyContext): Promise<ReadSlot[]> {
  return (await knownSlots(context)).slots.filter(({ state }) => state === "active").map(({ slot }) => slot);
}

/** What the slot is for, in words. */
export function slotTarget({ method, kms, transit, age }: KeySlot): string {
  if (kms !== undefined) return kms.keyArn;
  if (transit !== undefined) return `${transit.mount}/${transit.key} at ${transit.address}`;
  return age?.recipient ?? method;
}
