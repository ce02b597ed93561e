import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { chosenKey, configuredOpener, type KeyChoice } from "./configured-opener.ts";
import { type KeyContext, type KeyWork, openKeys } from "./key-context.ts";
import { type KeyDue, keyDues, type RotationPeriod } from "./key-dues.ts";
import { type KeyFiles, keyFiles, placeOf } from "./key-files.ts";
import type { ReadSlot } from "./key-slot.ts";
import type { PassphraseOptions } from "./passphrase.ts";
import type { RetiredSlot } from "./retire-slot.ts";
import { finishRotation, openedBy, type Rotation, rotateKeyFile, rotateTo } from "./rotate-slot.ts";
import { activeSlots } from "./slot-states.ts";

export type RotationOptions = KeyWork &
  RotationPeriod & {
    /** `remind`: people are told, and nothing is changed. */
    mode: "auto" | "remind";
    environment: Readonly<Record<string, string | undefined>>;
    files?: KeyFiles;
    passphrase?: PassphraseOptions;
  };

/** What a person is told of one key: `why` it is not replaced by itself. */
export type ReviewedKey = KeyDue & { why: string };

export type KeyReview = {
  repositoryId: string;
  /** Every opener, the first to fall due first. */
  keys: ReviewedKey[];
  /** The slot that this process opened with. */
  slot: string;
  rotated?: Rotation;
  /** Slots that a rotation that broke off had still to retire. */
  finished: RetiredSlot[];
};

type Own = { opens: ReadSlot[]; choice: KeyChoice };

/**
 * Pure: why the process does not replace a key by itself; undefined: it does. Above all: a key that is in a file may be
 * written down elsewhere, and that copy is worth nothing once the key is replaced. So some other way in must be left, one that
 * is not on this machine.
 */
export function whyNotByItself(facts: {
  mode: "auto" | "remind";
  isOwn: boolean;
  inFile: boolean;
  /** Why the file cannot be written. */
  readOnly?: string | undefined;
  /** Active slots, escrow included, that this process's key does not open. */
  others: number;
}): string | undefined {
  const { mode, isOwn, inFile, readOnly, others } = facts;
  if (!isOwn)
    return "its secret is not this process's to replace: `stillpoint key add` a new one, then `key remove` it";
  if (mode === "remind") return "rotation by itself is switched off";
  if (!inFile) return undefined;
  if (readOnly !== undefined) return readOnly;
  if (others === 0)
    return "it is the only way in, and copies of it that people keep would be worth nothing: `stillpoint key export` a recovery sheet, or add an escrow recipient";
  return undefined;
}

async function reasonFor(
  context: KeyContext,
  own: Own,
  slot: string,
  { mode }: RotationOptions,
): Promise<string | undefined> {
  const { keyFile } = own.choice;
  const isOwn = own.opens.some(({ document }) => document.slot === slot);
  const readOnly = keyFile === undefined || !isOwn ? undefined : (await placeOf(keyFile)).why;
  const others = (await activeSlots(context)).length - own.opens.length;
  return whyNotByItself({ mode, isOwn, inFile: keyFile !== undefined, readOnly, others });
}

/**
 * Ends what a rotation left undone, replaces this process's own key where it is due and can be replaced, and says of every
 * key when it is due. Asking again changes nothing.
 */
export async function rotateIfDue(store: ObjectStore, key: KeyChoice, options: RotationOptions): Promise<KeyReview> {
  const { environment, files = keyFiles, passphrase = {}, now } = options;
  const choice = chosenKey(key, environment);
  let context = await openKeys(store, await configuredOpener(choice, environment, passphrase), options);
  const finished = await finishRotation(context);
  let own: Own = { choice, opens: await openedBy(context, context.opener) };
  const dues = keyDues(own.opens, now(), options);
  let rotated: Rotation | undefined;
  const due = dues.find(({ state }) => state === "due");
  if (due !== undefined && (await reasonFor(context, own, due.slot, options)) === undefined) {
    rotated =
      choice.keyFile === undefined
        ? await rotateTo(context, context.opener)
        : await rotateKeyFile(context, (await placeOf(choice.keyFile)).path, { files, passphrase });
    context = await openKeys(store, await configuredOpener(choice, environment, passphrase), options);
    own = { choice, opens: await openedBy(context, context.opener) };
  }
  const keys: ReviewedKey[] = [];
  for (const each of keyDues(await activeSlots(context), now(), options))
    keys.push({
      ...each,
      why: (await reasonFor(context, own, each.slot, options)) ?? "it is replaced by itself when it is due",
    });
  return {
    repositoryId: context.ring.repositoryId,
    keys,
    slot: context.ring.slot.id,
    finished,
    ...(rotated === undefined ? {} : { rotated }),
  };
}
