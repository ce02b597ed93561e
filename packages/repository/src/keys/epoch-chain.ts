import { createHash } from "node:crypto";
import { toInstant } from "@stillpoint/contracts/names";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { assertMac, decodeTwoLines, encodeTwoLines, macOf } from "../format/authenticated-text.ts";
import { formatUnknown, objectDamaged } from "../format/damage.ts";
import { type Config, type Epoch, epoch, readDocument } from "../format/documents.ts";
import { CONFIG_NAME, epochName, FORMAT_VERSION } from "../format/kinds.ts";
import * as aead from "./aead.ts";
import { deriveKey, LABELS } from "./derive.ts";
import type { MasterKey } from "./key-slot.ts";
import { signingKeyOf } from "./signing.ts";

export type ReadEpoch = { name: string; bytes: Uint8Array; document: Epoch };

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The epochs in their order, not yet authenticated. */
export async function readEpochs(store: ObjectStore): Promise<ReadEpoch[]> {
  const epochs: ReadEpoch[] = [];
  for await (const { name } of store.list("epochs/")) {
    const bytes = await store.get(name);
    const document = readDocument(epoch, name, decodeTwoLines(name, bytes).line);
    if (document.version !== FORMAT_VERSION) throw formatUnknown(name, document.version);
    epochs.push({ name, bytes, document });
  }
  return epochs;
}

/** Seals one repository key under the one after it. */
function previousKey(master: MasterKey): Uint8Array {
  return deriveKey(master.key, Buffer.from(master.master, "hex"), LABELS.previous);
}

export type EpochBefore = { master: MasterKey; epoch: ReadEpoch; config: Uint8Array };

/** The object of an epoch; the first one has none before it. */
export function encodeEpoch(
  master: MasterKey,
  repositoryId: string,
  random: (length: number) => Uint8Array,
  nowMs: number,
  before?: EpochBefore,
): { name: string; bytes: Buffer } {
  const number = (before?.epoch.document.epoch ?? 0) + 1;
  const document: Epoch = {
    version: FORMAT_VERSION,
    epoch: number,
    master: master.master,
    salt: Buffer.from(random(32)).toString("hex"),
    signingKey: signingKeyOf(master.key, repositoryId).publicKey,
    ...(before === undefined
      ? {}
      : {
          previous: {
            master: before.master.master,
            // Each repository key seals one before it, so the nonce may be zero.
            sealed: Buffer.concat(
              aead.seal(previousKey(master), 0, Buffer.from(before.master.master, "hex"), before.master.key),
            ).toString("base64"),
            config: sha256(before.config),
            epoch: sha256(before.epoch.bytes),
          },
        }),
    createdAt: toInstant(nowMs),
  };
  const name = epochName(number);
  const mac = macOf(master.key, repositoryId, name, Buffer.from(JSON.stringify(document), "utf8"));
  return { name, bytes: encodeTwoLines(document, mac) };
}

export type FollowedEpochs = {
  keys: Map<number, Uint8Array>;
  /** The repository keys before the newest, the latest first. */
  before: MasterKey[];
};

/**
 * The key of every epoch, from the newest repository key back to the first; nothing of it is believed before its MAC, and
 * an epoch before the newest only if the one after it says that it is the same bytes as then.
 */
export function followEpochs(
  repositoryId: string,
  newest: MasterKey,
  epochs: readonly ReadEpoch[],
  config: { config: Config; bytes: Uint8Array },
): FollowedEpochs {
  const keys = new Map<number, Uint8Array>();
  const before: MasterKey[] = [];
  let master = newest;
  let pinned: NonNullable<Epoch["previous"]> | undefined;
  for (let number = epochs.length; number >= 1; number--) {
    const at = epochs[number - 1];
    const name = epochName(number);
    if (at === undefined || at.name !== name || at.document.epoch !== number)
      throw objectDamaged(name, "it is missing, or another epoch's");
    if (pinned !== undefined && pinned.epoch !== sha256(at.bytes))
      throw objectDamaged(name, "it is not what it was when the next epoch began");
    if (at.document.master !== master.master)
      throw objectDamaged(name, "it is of a repository key that the next epoch does not hold");
    assertMac(master.key, repositoryId, name, at.bytes);
    if (pinned !== undefined && pinned.config !== sha256(config.bytes))
      throw objectDamaged(CONFIG_NAME, `it is not what it was when epoch ${number + 1} began`);
    keys.set(number, deriveKey(master.key, Buffer.from(at.document.salt, "hex"), LABELS.epoch));
    pinned = at.document.previous;
    if (pinned === undefined) {
      if (number > 1) throw objectDamaged(name, "it does not hold the repository key before it");
      break;
    }
    master = keyBefore(master, pinned, name);
    before.push(master);
  }
  if (config.config.master !== master.master) throw objectDamaged(CONFIG_NAME, "it is of another repository key");
  assertMac(master.key, repositoryId, CONFIG_NAME, config.bytes);
  return { keys, before };
}

function keyBefore(master: MasterKey, previous: NonNullable<Epoch["previous"]>, name: string): MasterKey {
  const aad = Buffer.from(previous.master, "hex");
  const key = aead.open(previousKey(master), 0, aad, Buffer.from(previous.sealed, "base64"));
  if (key === undefined) throw objectDamaged(name, "the repository key before it does not open");
  return { master: previous.master, key: Uint8Array.from(key) };
}
