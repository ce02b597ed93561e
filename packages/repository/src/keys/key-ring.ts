import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { decodeTwoLines } from "../format/authenticated-text.ts";
import { formatUnknown, objectDamaged } from "../format/damage.ts";
import { type Config, config, readDocument } from "../format/documents.ts";
import { CONFIG_NAME, FORMAT_VERSION } from "../format/kinds.ts";
import type { EpochKeys } from "../format/sealed-object.ts";
import { followEpochs, readEpochs } from "./epoch-chain.ts";
import type { MasterKey } from "./key-slot.ts";
import type { Opener } from "./opener.ts";
import { passphraseOpener } from "./passphrase.ts";
import { type OpenedSlot, openFirstSlot, readSlots } from "./read-slots.ts";
import { type SigningKey, signingKeyOf } from "./signing.ts";

/** All keys of an open repository. */
export type KeyRing = {
  repositoryId: string;
  /** The repository key of the newest epoch. */
  master: MasterKey;
  /** Those of the epochs before, the latest first. */
  mastersBefore: readonly MasterKey[];
  epochs: EpochKeys;
  signing: SigningKey;
  /** Public keys whose signatures count. */
  trustedKeys: readonly string[];
  /** The slot that opened it. */
  slot: { id: string; type: "opener" | "escrow"; method: string };
};

/** The configuration, not yet authenticated: no key is open. */
export async function readConfig(store: ObjectStore): Promise<{ config: Config; bytes: Uint8Array }> {
  const bytes = await store.get(CONFIG_NAME).catch((error: unknown) => {
    if (!(error instanceof StillpointError) || error.code !== "OBJECT_MISSING") throw error;
    throw new StillpointError("REPOSITORY_MISSING", {
      what: "Cannot open the repository",
      where: store.url,
      why: "there is none",
      hint: "check the URL; a new repository is made only when a person asks for it, by `stillpoint repo init`",
    });
  });
  const { line } = decodeTwoLines(CONFIG_NAME, bytes);
  const version = /"version":(\d+)/.exec(line.toString("utf8"))?.[1];
  if (version !== undefined && Number(version) !== FORMAT_VERSION) throw formatUnknown(CONFIG_NAME, Number(version));
  return { config: readDocument(config, CONFIG_NAME, line), bytes };
}

async function openMaster(
  store: ObjectStore,
  opener: Opener,
  master: string,
  repositoryId: string,
): Promise<OpenedSlot> {
  const { slots, damaged } = await readSlots(store);
  const opened = await openFirstSlot(slots, opener, master, repositoryId);
  if (opened !== undefined) return opened;
  const [first] = damaged;
  if (first !== undefined) throw first.error;
  if (slots.length > 0)
    throw new StillpointError("KEY_WRONG", {
      what: "Cannot open the repository",
      where: store.url,
      why: `${opener.shown} opens none of its key slots`,
      hint: "check which key belongs to this repository; `stillpoint key list` shows which slots it has; the holder of an escrow slot says so with --escrow",
    });
  throw new StillpointError("KEY_UNREADABLE", {
    what: "Cannot open the repository",
    where: store.url,
    why: "it has no key slot",
    hint: "restore the objects below keys/ from a copy of the repository",
  });
}

/**
 * Opens with what a person or a machine has, and believes nothing that the key does not authenticate. The epochs before are
 * opened by what the newest one seals of them.
 */
export async function openKeyRing(
  store: ObjectStore,
  key: Opener | Secret,
): Promise<{ config: Config; ring: KeyRing }> {
  const opener = key instanceof Secret ? passphraseOpener(key) : key;
  const found = await readConfig(store);
  const { repositoryId } = found.config;
  const epochs = await readEpochs(store);
  const newest = epochs.at(-1);
  if (newest === undefined) throw objectDamaged("epochs/", "the repository has no key epoch");
  const { slot, master } = await openMaster(store, opener, newest.document.master, repositoryId);
  const { keys, before } = followEpochs(repositoryId, master, epochs, found);
  const ring: KeyRing = {
    repositoryId,
    master,
    mastersBefore: before,
    epochs: { current: newest.document.epoch, keyOf: (number) => keys.get(number) },
    signing: signingKeyOf(master.key, repositoryId),
    trustedKeys: [...new Set(epochs.map(({ document }) => document.signingKey))],
    slot: { id: slot.document.slot, type: slot.document.type, method: slot.document.method },
  };
  return { config: found.config, ring };
}
