import type { Secret } from "@stillpoint/contracts/secret";
import { type AddedSlot, addSlot } from "./add-slot.ts";
import { identityIn, newIdentity } from "./age.ts";
import { type KeyContext, openKeys } from "./key-context.ts";
import type { KeyFiles } from "./key-files.ts";
import { openSlot, type ReadSlot } from "./key-slot.ts";
import { newPassphrase } from "./new-passphrase.ts";
import type { Opener } from "./opener.ts";
import { openerFromContent } from "./opener-file.ts";
import type { PassphraseOptions } from "./passphrase.ts";
import { type RetiredSlot, retireSlot } from "./retire-slot.ts";
import { activeSlots, knownSlots } from "./slot-states.ts";

export type Rotation = { slot: string; replaced: RetiredSlot[] };

/** Active slots of type `opener` that this really opens. */
export async function openedBy(context: KeyContext, opener: Opener): Promise<ReadSlot[]> {
  const opened: ReadSlot[] = [];
  for (const slot of await activeSlots(context))
    if (slot.document.type === "opener" && (await openSlot(slot, opener, context.ring.repositoryId)) !== undefined)
      opened.push(slot);
  return opened;
}

/** Those that were retired and are there still are tried again: the deletion may not have come to pass. */
async function retireAll(context: KeyContext, ids: readonly string[]): Promise<RetiredSlot[]> {
  const retired: RetiredSlot[] = [];
  for (const { slot, state } of (await knownSlots(context)).slots)
    if ((state === "active" || state === "retired") && ids.includes(slot.document.slot))
      if (slot.document.slot !== context.ring.slot.id) retired.push(await retireSlot(context, slot.document.slot));
  return retired;
}

/** What a rotation that broke off left to be done: the slot that opens now replaces others that are there still. */
export async function finishRotation(context: KeyContext): Promise<RetiredSlot[]> {
  const own = (await activeSlots(context)).find(({ document }) => document.slot === context.ring.slot.id);
  return own?.document.replaces === undefined ? [] : retireAll(context, own.document.replaces);
}

/** From one key to another that is there: by a person, or the same key of a key service wrapping anew. */
export async function rotateTo(context: KeyContext, next: Opener): Promise<Rotation> {
  const replaces = (await openedBy(context, context.opener)).map(({ document }) => document.slot);
  const { slot } = await addSlot(context, next, { type: "opener", replaces });
  const renewed: KeyContext = { ...context, opener: next, ring: { ...context.ring, slot: slotOf(slot, next) } };
  return { slot, replaced: await retireAll(renewed, replaces) };
}

function slotOf(id: string, { method }: Opener): KeyContext["ring"]["slot"] {
  return { id, type: "opener", method };
}

export type KeyFileRotation = { files: KeyFiles; passphrase?: PassphraseOptions };

/**
 * Puts a new key of the same kind into a key file. Each step leaves a key in the file that opens the repository, and what a
 * step left behind is taken up by the next attempt:
 * 1. the new key beside the file, whole and durable; 2. its slot, read back and opened with what is in that file; 3. the new
 * file takes the old one's place in one step; 4. what the old key opened is retired.
 */
export async function rotateKeyFile(
  context: KeyContext,
  path: string,
  { files, passphrase = {} }: KeyFileRotation,
): Promise<Rotation> {
  const beside = `${path}.next`;
  const old = await openedBy(context, context.opener);
  const replaces = old.map(({ document }) => document.slot);
  if (!(await files.exists(beside)))
    await files.create(beside, await newKeyLike(await files.read(path), context), path);
  const next = await openerFromContent(await files.read(beside), passphrase);
  const [earlier] = await openedBy(context, next);
  const label = old.find(({ document }) => document.label !== undefined)?.document.label;
  const added: Pick<AddedSlot, "slot"> =
    earlier === undefined
      ? await addSlot(context, next, { type: "opener", label, replaces })
      : { slot: earlier.document.slot };
  await files.replace(path, beside);
  // As the next start of the process will: with what is in the file now, and what is in the store now.
  const renewed = await openKeys(context.store, await openerFromContent(await files.read(path), passphrase), context);
  return { slot: added.slot, replaced: await retireAll(renewed, replaces) };
}

async function newKeyLike(content: Secret, { random }: KeyContext): Promise<Secret> {
  return identityIn(content) === undefined ? newPassphrase(random) : newIdentity();
}
