import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { KeySlot } from "../format/documents.ts";
import { CONFIG_NAME, objectName } from "../format/kinds.ts";
import { claimExclusive } from "../garbage/claim.ts";
import { deleteObject } from "../garbage/delete-objects.ts";
import { LEASE_MS } from "../leases/renewed-lease.ts";
import { putAndRead } from "../put-and-read.ts";
import { proveSlot } from "./add-slot.ts";
import { ageRecipient } from "./age.ts";
import { encodeEpoch, readEpochs } from "./epoch-chain.ts";
import { type KeyContext, openKeys } from "./key-context.ts";
import { encodeSlot, type MasterKey, openSlot, type ReadSlot } from "./key-slot.ts";
import { assertOnPrimary } from "./on-primary.ts";
import type { Opener, Sealer } from "./opener.ts";
import { type RetiredSlot, retireSlot } from "./retire-slot.ts";
import { knownSlots } from "./slot-states.ts";
import { verifyInClear } from "./verify-in-clear.ts";

export type EpochPlan = {
  epoch: number;
  /** Slots that are made anew: openers are proved, escrow is sealed for the same recipient. */
  kept: { slot: ReadSlot; sealer: Sealer; opener?: Opener }[];
  /** Slots that will not open what is written from then on, by the person's wish. */
  dropped: ReadSlot[];
  /** Openers that nothing at hand opens: the epoch is not made while there is one. */
  unresolved: ReadSlot[];
  /** Slots that are damaged, or were read wrongly: nor is it while there is one of these. */
  unreadable: string[];
};

async function openerOf(context: KeyContext, slot: ReadSlot, openers: readonly Opener[]): Promise<Opener | undefined> {
  for (const opener of openers)
    if ((await openSlot(slot, opener, context.ring.repositoryId)) !== undefined) return opener;
  return undefined;
}

/**
 * What a new repository key would come to: every active slot is made anew for it, so all passphrases and identities must be at hand.
 * A leaked key is given in `without`.
 */
export async function planEpoch(
  context: KeyContext,
  { openers, without }: { openers: readonly Opener[]; without: readonly string[] },
): Promise<EpochPlan> {
  const plan: EpochPlan = {
    epoch: context.ring.epochs.current + 1,
    kept: [],
    dropped: [],
    unresolved: [],
    unreadable: [],
  };
  const { slots, damaged } = await knownSlots(context);
  const givenUp = (name: string) => without.some((id) => objectName("keys", id) === name);
  plan.unreadable = damaged.filter((name) => !givenUp(name));
  for (const { slot, state } of slots) {
    if (state === "forged" && !givenUp(slot.name)) plan.unreadable.push(slot.name);
    if (state !== "active") continue;
    const { type, slot: id, age } = slot.document;
    if (without.includes(id)) plan.dropped.push(slot);
    else if (type === "escrow") plan.kept.push({ slot, sealer: await ageRecipient(age?.recipient ?? "") });
    else {
      const opener = await openerOf(context, slot, [context.opener, ...openers]);
      if (opener === undefined) plan.unresolved.push(slot);
      else plan.kept.push({ slot, sealer: opener, opener });
    }
  }
  const names = new Set([...damaged, ...slots.map(({ slot }) => slot.name)]);
  const unknown = without.filter((id) => !names.has(objectName("keys", id)));
  if (unknown.length > 0)
    throw new StillpointError("NOT_FOUND", {
      what: "There is no such key slot",
      where: unknown.join(", "),
      hint: "`stillpoint key list` shows them",
    });
  return plan;
}

function assertComplete({ kept, unresolved, unreadable }: EpochPlan): void {
  if (unreadable.length > 0)
    throw new StillpointError("OBJECT_DAMAGED", {
      what: "Did not begin a new key epoch",
      where: unreadable.join(", "),
      why: "these key slots are damaged, or not by who had the repository's key: who they are for cannot be known",
      hint: "try again; if it stays so, remove them (`stillpoint key remove`) or give them up (--without <slot>)",
    });
  if (unresolved.length > 0)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Did not begin a new key epoch",
      where: unresolved.map(({ document }) => document.slot).join(", "),
      why: "nothing that was given opens these key slots, so they cannot be made anew",
      hint: "give their key files too (--also-key-file), or give the slots up (--without <slot>)",
    });
  if (!kept.some(({ opener }) => opener !== undefined))
    throw new StillpointError("CONFLICT", {
      what: "Did not begin a new key epoch",
      why: "no opener would be left: an escrow slot is none",
      hint: "add a key slot first: `stillpoint key add`",
    });
}

/** The slots of the new repository key; each opener is read back and opened. */
async function makeSlots(context: KeyContext, plan: EpochPlan, master: MasterKey): Promise<string[]> {
  const { store, ring, random, now } = context;
  const names: string[] = [];
  const siblings: KeySlot[] = [];
  for (const { slot, sealer, opener } of plan.kept) {
    const { type, label, sheet } = slot.document;
    const made = await encodeSlot(master, sealer, {
      type,
      label,
      ...(sheet === undefined ? {} : { sheet }),
      repositoryId: ring.repositoryId,
      siblings,
      random,
      nowMs: now(),
    });
    await putAndRead(store, made.name, made.bytes, { ifAbsent: true });
    if (opener !== undefined) await proveSlot(context, made.name, opener, master);
    siblings.push(made.document);
    names.push(made.name);
  }
  return names;
}

export type BegunEpoch = { epoch: number; slots: string[]; retired: RetiredSlot[] };

/**
 * A new repository key, for what is written from now on. Until its epoch is there, everything is as it was: its slots are tried by
 * nobody. From then on, only they are.
 */
export async function beginEpoch(context: KeyContext, plan: EpochPlan): Promise<BegunEpoch> {
  assertComplete(plan);
  const { store, ring, random, now } = context;
  await using _claim = await claimExclusive({ ...context, leaseMs: LEASE_MS }, "Did not begin a new key epoch");
  const epoch = (await readEpochs(store)).at(-1);
  if (epoch?.document.epoch !== plan.epoch - 1) throw overtaken(store, plan.epoch);
  const config = await store.get(CONFIG_NAME);
  await assertOnPrimary(context);
  // The new epoch holds their hashes for ever: of bytes that were read wrongly, they would never fit again.
  verifyInClear(ring, epoch.name, epoch.bytes);
  verifyInClear(ring, CONFIG_NAME, config);
  const id = Buffer.from(random(16));
  id.writeUIntBE(now(), 0, 6);
  const master: MasterKey = { master: id.toString("hex"), key: random(32) };
  const names = await makeSlots(context, plan, master);
  const object = encodeEpoch(master, ring.repositoryId, random, now(), { master: ring.master, epoch, config });
  await putAndRead(store, object.name, object.bytes, { ifAbsent: true }).catch(async (error: unknown) => {
    if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS") throw error;
    // Surely another's: nothing will ever try these slots.
    for (const name of names) await deleteObject(store, name); // one that a lock keeps is a stray, and opens nothing
    throw overtaken(store, plan.epoch);
  });
  const renewed = await reopen(context, plan);
  await assertOnPrimary(renewed);
  const retired: RetiredSlot[] = [];
  // Retired ones too: what an earlier attempt could not delete any more.
  for (const { slot, state } of (await knownSlots(renewed)).slots)
    if (state === "earlier" || state === "retired") retired.push(await retireSlot(renewed, slot.document.slot));
  return { epoch: plan.epoch, slots: names, retired };
}

/** With one of the keys that the new slots were made for, as the next start of a process does. */
async function reopen(context: KeyContext, { kept }: EpochPlan): Promise<KeyContext> {
  const opener =
    kept.find((each) => each.opener === context.opener)?.opener ?? kept.find((each) => each.opener)?.opener;
  return openKeys(context.store, opener ?? context.opener, context);
}

function overtaken(store: ObjectStore, epoch: number): StillpointError {
  return new StillpointError("CONFLICT", {
    what: "Did not begin a new key epoch",
    where: store.url,
    why: `somebody else began epoch ${epoch} meanwhile`,
    hint: "look at `stillpoint key list` before another one is begun",
  });
}
