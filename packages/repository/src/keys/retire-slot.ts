import { StillpointError } from "@stillpoint/contracts/errors";
import { changeLog } from "../changes/change-log.ts";
import { objectName } from "../format/kinds.ts";
import { deleteObject } from "../garbage/delete-objects.ts";
import type { KeyContext } from "./key-context.ts";
import { onPrimary } from "./on-primary.ts";
import { type KnownSlot, knownSlots } from "./slot-states.ts";

/** `retained`: the target keeps the object (a lock, a policy, no permission): whoever has its secret and can read it can still open it. */
export type RetiredSlot = { slot: string; outcome: "deleted" } | { slot: string; outcome: "retained"; why: string };

/**
 * Says that the slot is not to be used any more, and then deletes its object where the store lets it. The deletion waits until another
 * opener was seen *after* that was said: of two who retire each other's last opener, neither then deletes.
 */
export function retireSlot(context: KeyContext, slotId: string): Promise<RetiredSlot> {
  return onPrimary(context, () => sayAndDelete(context, slotId));
}

async function sayAndDelete(context: KeyContext, slotId: string): Promise<RetiredSlot> {
  const name = objectName("keys", slotId);
  const log = changeLog(context);
  if ((await log.newest()).of("slot", name)?.change !== "retire-slot")
    await log.append({ change: "retire-slot", object: name, by: context.by });
  const { slots } = await knownSlots(context);
  if (!slots.some(({ slot, state }) => state === "active" && slot.document.type === "opener"))
    throw new StillpointError("CONFLICT", {
      what: "Did not delete a key slot",
      where: name,
      why: "somebody else retired the others at the same time, and no opener would be left",
      hint: "add a new key slot; this one opens the repository until then",
    });
  const why = await deleteObject(context.store, name);
  return why === undefined ? { slot: slotId, outcome: "deleted" } : { slot: slotId, outcome: "retained", why };
}

export type Removal = {
  /** Undefined where it is damaged. */
  slot: KnownSlot | undefined;
  openersLeft: KnownSlot[];
};

/**
 * What removing a slot would come to. CONFLICT where nothing is known to open the repository afterwards: the one that opened it now
 * is, so it cannot remove itself.
 */
export async function planRemoval(context: KeyContext, slotId: string): Promise<Removal> {
  const { slots, damaged } = await knownSlots(context);
  const found = slots.find(({ slot }) => slot.document.slot === slotId);
  if (found === undefined && !damaged.includes(objectName("keys", slotId)))
    throw new StillpointError("NOT_FOUND", {
      what: "There is no such key slot",
      where: slotId,
      hint: "`stillpoint key list` shows them",
    });
  const { ring } = context;
  if (ring.slot.id === slotId || ring.slot.type !== "opener")
    throw new StillpointError("CONFLICT", {
      what: "Cannot remove the key slot",
      where: slotId,
      why:
        ring.slot.id === slotId
          ? "it is the one that opened the repository just now, and no other is known to open it"
          : "the repository was opened by an escrow slot, and no opener is known to open it",
      hint: "open with the key that is to remain: --key-file, --kms-key or --transit-key",
    });
  const openersLeft = slots.filter(
    ({ slot, state }) => state === "active" && slot.document.type === "opener" && slot.document.slot !== slotId,
  );
  return { slot: found, openersLeft };
}
