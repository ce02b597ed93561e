import { timingSafeEqual } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { KeySlot } from "../format/documents.ts";
import { putAndRead } from "../put-and-read.ts";
import type { KeyContext } from "./key-context.ts";
import { decodeSlot, encodeSlot, type MasterKey, openSlot } from "./key-slot.ts";
import { onPrimary } from "./on-primary.ts";
import type { Opener, Sealer } from "./opener.ts";
import { activeSlots } from "./slot-states.ts";

export type SlotWish = {
  type: KeySlot["type"];
  label?: string | undefined;
  sheet?: true;
  replaces?: readonly string[];
};

function canOpen(sealer: Sealer): sealer is Opener {
  return "open" in sealer;
}

/** Reads the slot back from the store and really opens it. Throws VERIFICATION_FAILED. */
export async function proveSlot(
  { store, ring: { repositoryId } }: Pick<KeyContext, "store" | "ring">,
  name: string,
  opener: Opener,
  expected: MasterKey,
): Promise<void> {
  const opened = await openSlot(decodeSlot(name, await store.get(name)), opener, repositoryId);
  if (opened?.master === expected.master && timingSafeEqual(opened.key, expected.key)) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "A new key slot does not open",
    where: name,
    why: `${opener.shown} does not open what was read back from the store`,
    hint: "nothing was retired: the slots before it open as they did",
  });
}

export type AddedSlot = {
  slot: string;
  name: string;
  /** Whether it was read back and opened; an escrow slot can only be opened by its holder. */
  proven: boolean;
};

/** A further slot for the repository key, read back and opened where that can be done. */
export async function addSlot(context: KeyContext, sealer: Sealer, wish: SlotWish): Promise<AddedSlot> {
  if (wish.type === "opener" && !canOpen(sealer))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot make an opener of it",
      where: sealer.shown,
      why: "only its holder can open what is sealed for it, so that it would never be known to open",
      hint: "add it as escrow",
    });
  return onPrimary(context, () => putSlot(context, sealer, wish));
}

async function putSlot(context: KeyContext, sealer: Sealer, wish: SlotWish): Promise<AddedSlot> {
  const { store, ring, random, now } = context;
  const siblings = (await activeSlots(context)).map(({ document }) => document);
  const { name, bytes, document } = await encodeSlot(ring.master, sealer, {
    ...wish,
    repositoryId: ring.repositoryId,
    siblings,
    random,
    nowMs: now(),
  });
  await putAndRead(store, name, bytes, { ifAbsent: true });
  if (canOpen(sealer)) await proveSlot(context, name, sealer, ring.master);
  return { slot: document.slot, name, proven: canOpen(sealer) };
}
