import { StillpointError } from "@stillpoint/contracts/errors";
import { addSlot } from "@stillpoint/repository/keys/add-slot";
import { ageRecipient, newIdentity } from "@stillpoint/repository/keys/age";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import type { KeyContext } from "@stillpoint/repository/keys/key-context";
import { assertWritable, keyFiles, placeOf } from "@stillpoint/repository/keys/key-files";
import { beginEpoch, planEpoch } from "@stillpoint/repository/keys/new-epoch";
import type { Opener, Sealer } from "@stillpoint/repository/keys/opener";
import { openerFromFile } from "@stillpoint/repository/keys/opener-file";
import { passphraseOpener } from "@stillpoint/repository/keys/passphrase";
import { exportSheet } from "@stillpoint/repository/keys/recovery-sheet";
import { planRemoval, retireSlot } from "@stillpoint/repository/keys/retire-slot";
import { openedBy, rotateKeyFile, rotateTo } from "@stillpoint/repository/keys/rotate-slot";
import { activeSlots } from "@stillpoint/repository/keys/slot-states";
import { askPassphrase, confirm } from "../ask.ts";
import { makeKeyFile } from "../make-key-file.ts";
import { stillAlive } from "../still-alive.ts";
import type { World } from "../world.ts";
import type { RepositoryKeyOptions } from "./key-options.ts";
import { openKeyWork, retiredLine, slotLine } from "./key-work.ts";

export const KEY_METHODS = ["passphrase", "key-file", "kms", "transit", "escrow"] as const;
export type KeyMethod = (typeof KEY_METHODS)[number];

type AddOptions = RepositoryKeyOptions & { label?: string; newIdentity: boolean };
type Deliberate = RepositoryKeyOptions & { yes: boolean; dryRun: boolean };

function needed(method: KeyMethod, target: string | undefined): string {
  if (target !== undefined) return target;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot add a key",
    where: method,
    why: "it needs to be said which one",
    hint: "key-file <file>, kms <arn>, transit <name>, escrow <age1…>; only `passphrase` is asked for",
  });
}

async function sealerFor(
  world: World,
  method: KeyMethod,
  target: string | undefined,
  { newIdentity: isIdentity }: AddOptions,
): Promise<Sealer | Opener> {
  switch (method) {
    case "passphrase":
      return passphraseOpener(await askPassphrase(world.person));
    case "key-file": {
      const path = needed(method, target);
      if (await makeKeyFile(path, isIdentity ? await newIdentity() : undefined))
        world.errorLine(`a new key was written to ${path}: keep it apart from the repository`);
      return openerFromFile(path);
    }
    case "kms":
      return configuredOpener({ kmsKey: needed(method, target) }, world.environment);
    case "transit":
      return configuredOpener({ transitKey: needed(method, target) }, world.environment);
    case "escrow":
      return ageRecipient(needed(method, target));
  }
}

export async function addKey(world: World, method: KeyMethod, target: string | undefined, options: AddOptions) {
  await using opened = await openKeyWork(world, options);
  const sealer = await sealerFor(world, method, target, options);
  const type = method === "escrow" ? "escrow" : "opener";
  const added = await stillAlive(world, "adding the key slot", () =>
    addSlot(opened.context, sealer, { type, label: options.label }),
  );
  if (options.json) world.out(`${JSON.stringify({ slot: added.slot, type, proven: added.proven })}\n`);
  else
    world.out(
      `key slot ${added.slot} is added for ${sealer.shown}, ${added.proven ? "and opens" : "whose holder should try it (`key test --escrow`)"}\n`,
    );
}

export async function removeKey(world: World, slot: string, options: Deliberate): Promise<void> {
  await using opened = await openKeyWork(world, options);
  const plan = await planRemoval(opened.context, slot);
  world.errorLine(`removes  ${plan.slot === undefined ? `${slot}, which is damaged` : slotLine(plan.slot)}`);
  for (const left of plan.openersLeft) world.errorLine(`leaves   ${slotLine(left)}`);
  if (options.dryRun) {
    world.out(options.json ? `${JSON.stringify({ slot, removed: false })}\n` : "nothing was removed\n");
    return;
  }
  await confirm(world.person, `Remove key slot ${slot}?`, options.yes);
  const retired = await retireSlot(opened.context, slot);
  world.out(options.json ? `${JSON.stringify(retired)}\n` : `${retiredLine(retired)}\n`);
}

export async function rotateKey(world: World, options: Deliberate): Promise<void> {
  await using opened = await openKeyWork(world, options);
  const { context } = opened;
  const own = await openedBy(context, context.opener);
  for (const slot of own) world.errorLine(`replaces ${slotLine({ slot, state: "active" })}`);
  const keyFile =
    context.opener.method === "passphrase" || context.opener.method === "age" ? keyFileOf(world, options) : undefined;
  if (keyFile !== undefined) {
    world.errorLine(
      `puts a new key into ${keyFile}: copies of the old one, wherever they are, will open nothing any more`,
    );
    const left = (await activeSlots(context)).length - own.length;
    if (left === 0)
      world.errorLine(
        "there is no other key slot: once this is done, that file alone opens the repository; see `stillpoint key export`",
      );
  }
  if (options.dryRun) {
    world.out(options.json ? `${JSON.stringify({ replaced: [], rotated: false })}\n` : "nothing was replaced\n");
    return;
  }
  await confirm(world.person, "Replace the key?", options.yes);
  const rotation = await stillAlive(world, "replacing the key", () => rotateOwn(context, keyFile));
  if (options.json) world.out(`${JSON.stringify(rotation)}\n`);
  else {
    world.out(`key slot ${rotation.slot} is made, and opens\n`);
    for (const each of rotation.replaced) world.out(`${retiredLine(each)}\n`);
  }
}

function keyFileOf(world: World, { keyFile }: RepositoryKeyOptions): string {
  return keyFile ?? world.environment.STILLPOINT_KEY_FILE ?? "";
}

async function rotateOwn(context: KeyContext, keyFile: string | undefined) {
  if (keyFile === undefined) return rotateTo(context, context.opener);
  const { path, why } = await placeOf(keyFile);
  assertWritable(keyFile, why);
  return rotateKeyFile(context, path, { files: keyFiles });
}

export async function newKeyEpoch(
  world: World,
  options: Deliberate & { without: string[]; alsoKeyFile: string[]; alsoKmsKey: string[]; alsoTransitKey: string[] },
): Promise<void> {
  await using opened = await openKeyWork(world, options);
  const { context } = opened;
  const { environment } = world;
  const openers = await Promise.all([
    ...options.alsoKeyFile.map((path) => openerFromFile(path)),
    ...options.alsoKmsKey.map((kmsKey) => configuredOpener({ kmsKey }, environment)),
    ...options.alsoTransitKey.map((transitKey) => configuredOpener({ transitKey }, environment)),
  ]);
  const plan = await stillAlive(world, "trying the keys", () =>
    planEpoch(context, { openers, without: options.without }),
  );
  world.errorLine(
    `key epoch ${plan.epoch}: a new repository key for what is written from now on; what is there stays readable`,
  );
  for (const { slot } of plan.kept) world.errorLine(`keeps    ${slotLine({ slot, state: "active" })}`);
  for (const slot of plan.dropped) world.errorLine(`gives up ${slotLine({ slot, state: "active" })}`);
  for (const slot of plan.unresolved) world.errorLine(`MISSING  ${slotLine({ slot, state: "active" })}`);
  for (const name of plan.unreadable) world.errorLine(`DAMAGED  ${name}`);
  if (options.dryRun) {
    const missing = plan.unresolved.map(({ document }) => document.slot);
    world.out(
      options.json ? `${JSON.stringify({ epoch: plan.epoch, begun: false, missing })}\n` : "nothing was begun\n",
    );
    return;
  }
  if (plan.unresolved.length === 0)
    await confirm(world.person, "Begin the new key epoch? Running vaults must be restarted afterwards.", options.yes);
  const begun = await stillAlive(world, "beginning the new key epoch", () => beginEpoch(context, plan));
  if (options.json) world.out(`${JSON.stringify(begun)}\n`);
  else {
    world.out(`key epoch ${begun.epoch} is begun, with ${begun.slots.length} key slots\n`);
    for (const each of begun.retired) world.out(`${retiredLine(each)}\n`);
  }
  world.errorLine("restart every vault of this repository now: until then they write under the epoch before");
}

export async function exportKey(world: World, options: RepositoryKeyOptions & { yes: boolean; label?: string }) {
  await using opened = await openKeyWork(world, options);
  await confirm(
    world.person,
    "Whoever has the sheet and the repository's objects can restore everything. It is printed once, to standard output.",
    options.yes,
  );
  // Not as it was given: the sheet is read in another directory, on another machine, with another environment.
  const { url } = opened;
  const { slot, sheet } = await stillAlive(world, "making a passphrase for the sheet", () =>
    exportSheet(opened.context, { url, label: options.label }),
  );
  world.out(options.json ? `${JSON.stringify({ slot, sheet })}\n` : sheet);
  world.errorLine(`key slot ${slot} is made for the sheet; another export makes another one`);
}
