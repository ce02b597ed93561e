import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { decodeSlot, type MasterKey, openSlot, type ReadSlot } from "./key-slot.ts";
import type { Opener } from "./opener.ts";

export type Slots = {
  slots: ReadSlot[];
  /** Slots that cannot be read: no reason not to open with another. */
  damaged: { name: string; error: StillpointError }[];
};

/** Every slot that is there, newest first. */
export async function readSlots(store: ObjectStore): Promise<Slots> {
  const found: Slots = { slots: [], damaged: [] };
  for await (const { name } of store.list("keys/")) {
    try {
      found.slots.push(decodeSlot(name, await store.get(name)));
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      // Removed since the listing.
      if (error.code === "OBJECT_MISSING") continue;
      if (error.code !== "OBJECT_DAMAGED" && error.code !== "FORMAT_UNKNOWN") throw error;
      found.damaged.push({ name, error });
    }
  }
  found.slots.sort((a, b) => (a.document.createdAt < b.document.createdAt ? 1 : -1));
  return found;
}

export type OpenedSlot = { slot: ReadSlot; master: MasterKey };

/**
 * The first slot of the repository key `master` that the opener opens. A slot whose opening fails (the key service refuses,
 * or does not answer) is passed over, and is what is thrown where no other opens.
 */
export async function openFirstSlot(
  slots: readonly ReadSlot[],
  opener: Opener,
  master: string,
  repositoryId: string,
): Promise<OpenedSlot | undefined> {
  let failure: unknown;
  for (const slot of slots) {
    if (slot.document.master !== master) continue;
    try {
      const opened = await openSlot(slot, opener, repositoryId);
      if (opened !== undefined) return { slot, master: opened };
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}
