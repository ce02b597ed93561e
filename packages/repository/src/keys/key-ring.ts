import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { assertMac, decodeTwoLines } from "../format/authenticated-text.ts";
import { formatUnknown, objectDamaged } from "../format/damage.ts";
import { type Config, config, type Epoch, epoch, readDocument } from "../format/documents.ts";
import { CONFIG_NAME, FORMAT_VERSION } from "../format/kinds.ts";
import type { EpochKeys } from "../format/sealed-object.ts";
import { deriveKey, LABELS } from "./derive.ts";
import { type MasterKey, openPassphraseSlot } from "./key-slot.ts";
import { type SigningKey, signingKeyOf } from "./signing.ts";

/** All keys of an open repository. */
export type KeyRing = {
  repositoryId: string;
  master: MasterKey;
  epochs: EpochKeys;
  signing: SigningKey;
  /** Public keys whose signatures count. */
  trustedKeys: readonly string[];
};

export function epochKeyOf(master: MasterKey, { salt }: Pick<Epoch, "salt">): Uint8Array {
  return deriveKey(master.key, Buffer.from(salt, "hex"), LABELS.epoch);
}

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

/** The repository's key named `master`, from the first slot that the passphrase opens; undefined where none does. */
export async function openSlots(
  store: ObjectStore,
  passphrase: Secret,
  master: string,
): Promise<{ slots: number; opened?: MasterKey }> {
  let slots = 0;
  for await (const { name } of store.list("keys/")) {
    slots++;
    const opened = await openPassphraseSlot(name, await store.get(name), passphrase, master);
    if (opened !== undefined) return { slots, opened };
  }
  return { slots };
}

async function openMaster(store: ObjectStore, passphrase: Secret, master: string): Promise<MasterKey> {
  const { slots, opened } = await openSlots(store, passphrase, master);
  if (opened !== undefined) return opened;
  if (slots > 0)
    throw new StillpointError("KEY_WRONG", {
      what: "Cannot open the repository",
      where: store.url,
      why: "this passphrase opens none of its key slots",
      hint: "check which passphrase belongs to this repository",
    });
  throw new StillpointError("KEY_UNREADABLE", {
    what: "Cannot open the repository",
    where: store.url,
    why: "it has no key slot",
    hint: "restore the objects below keys/ from a copy of the repository",
  });
}

type ReadEpoch = { name: string; bytes: Uint8Array; document: Epoch };

/** The epochs in their order, not yet authenticated. */
async function readEpochs(store: ObjectStore): Promise<ReadEpoch[]> {
  const epochs: ReadEpoch[] = [];
  for await (const { name } of store.list("epochs/")) {
    const bytes = await store.get(name);
    const document = readDocument(epoch, name, decodeTwoLines(name, bytes).line);
    if (document.version !== FORMAT_VERSION) throw formatUnknown(name, document.version);
    epochs.push({ name, bytes, document });
  }
  return epochs;
}

/** Opens with a passphrase, and believes nothing that the key does not authenticate. */
export async function openKeyRing(store: ObjectStore, passphrase: Secret): Promise<{ config: Config; ring: KeyRing }> {
  const { config: found, bytes } = await readConfig(store);
  const epochs = await readEpochs(store);
  const newest = epochs.at(-1);
  if (newest === undefined) throw objectDamaged("epochs/", "the repository has no key epoch");
  const master = await openMaster(store, passphrase, newest.document.master);
  assertMac(master.key, found.repositoryId, CONFIG_NAME, bytes);
  for (const each of epochs) assertMac(master.key, found.repositoryId, each.name, each.bytes);
  const keys = new Map(epochs.map(({ document }) => [document.epoch, epochKeyOf(master, document)]));
  const signing = signingKeyOf(master.key, found.repositoryId);
  const ring: KeyRing = {
    repositoryId: found.repositoryId,
    master,
    epochs: { current: newest.document.epoch, keyOf: (number) => keys.get(number) },
    signing,
    trustedKeys: [...new Set([signing.publicKey, ...epochs.map(({ document }) => document.signingKey)])],
  };
  return { config: found, ring };
}
