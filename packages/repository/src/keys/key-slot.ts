import { toInstant } from "@stillpoint/contracts/names";
import { decodeTwoLines, encodeTwoLines, macOf } from "../format/authenticated-text.ts";
import { formatUnknown, objectDamaged } from "../format/damage.ts";
import { type KeySlot, keySlot, readDocument } from "../format/documents.ts";
import { FORMAT_VERSION, objectName } from "../format/kinds.ts";
import * as aead from "./aead.ts";
import { deriveKey, LABELS } from "./derive.ts";
import type { Opener, Sealer, SlotPlace } from "./opener.ts";

/** A repository key, and its name. */
export type MasterKey = { master: string; key: Uint8Array };

/** A slot as it was read. Its document is only what it says, until it was opened or `isGenuine`. */
export type ReadSlot = { name: string; document: KeySlot; line: Buffer; sealed: Buffer; mac: Buffer };

export type NewSlot = Pick<SlotPlace, "repositoryId" | "siblings" | "random"> & {
  type: KeySlot["type"];
  label?: string | undefined;
  sheet?: true;
  replaces?: readonly string[];
  nowMs: number;
};

const SEALED_LENGTH = 32 + aead.TAG_LENGTH;
const MAC_LENGTH = 32;

function slotKey(secret: Uint8Array, { slot, method }: Pick<KeySlot, "slot" | "method">): Uint8Array {
  return deriveKey(secret, Buffer.from(slot, "hex"), LABELS.slot(method));
}

function slotMac(master: MasterKey, repositoryId: string, name: string, line: Uint8Array, sealed: Uint8Array): Buffer {
  const covered = Buffer.concat([line, Buffer.from("\n"), sealed]);
  return Buffer.from(macOf(master.key, repositoryId, name, covered), "hex");
}

/**
 * A new slot for the repository key. Beside what the sealer's secret authenticates it has a MAC under the repository key:
 * whoever makes a later slot for the same recipient or service knows that somebody with the key had put it there.
 */
export async function encodeSlot(
  master: MasterKey,
  sealer: Sealer,
  { type, label, sheet, replaces = [], nowMs, ...place }: NewSlot,
): Promise<{ name: string; bytes: Buffer; document: KeySlot }> {
  const slot = Buffer.from(place.random(16)).toString("hex");
  const { fields, secret } = await sealer.seal({ ...place, slot });
  const document: KeySlot = {
    version: FORMAT_VERSION,
    slot,
    type,
    method: sealer.method,
    master: master.master,
    ...fields,
    ...(label === undefined ? {} : { label }),
    ...(sheet === undefined ? {} : { sheet }),
    ...(replaces.length === 0 ? {} : { replaces: [...replaces] }),
    createdAt: toInstant(nowMs),
  };
  const name = objectName("keys", slot);
  const line = Buffer.from(JSON.stringify(document), "utf8");
  // The key is this slot's own, by its id and, but for a passphrase, by a new secret: so the nonce may be zero.
  const sealed = Buffer.concat(aead.seal(slotKey(secret, document), 0, line, master.key));
  const mac = slotMac(master, place.repositoryId, name, line, sealed);
  return { name, bytes: encodeTwoLines(document, Buffer.concat([sealed, mac]).toString("base64")), document };
}

export function decodeSlot(object: string, bytes: Uint8Array): ReadSlot {
  const { line, second } = decodeTwoLines(object, bytes);
  const document = readDocument(keySlot, object, line);
  if (document.version !== FORMAT_VERSION) throw formatUnknown(object, document.version);
  if (objectName("keys", document.slot) !== object) throw objectDamaged(object, "it is another slot's");
  const both = Buffer.from(second, "base64");
  if (both.length !== SEALED_LENGTH + MAC_LENGTH) throw objectDamaged(object, "its second line has another length");
  return {
    name: object,
    document,
    line,
    sealed: both.subarray(0, SEALED_LENGTH),
    mac: both.subarray(SEALED_LENGTH),
  };
}

/** Whether somebody who has the repository key wrote this slot, all of it. */
export function isGenuine(slot: ReadSlot, master: MasterKey, repositoryId: string): boolean {
  return (
    slot.document.master === master.master &&
    slotMac(master, repositoryId, slot.name, slot.line, slot.sealed).equals(slot.mac)
  );
}

/** The repository key, or undefined where this opener does not open the slot. */
export async function openSlot(slot: ReadSlot, opener: Opener, repositoryId: string): Promise<MasterKey | undefined> {
  const { document, line, sealed } = slot;
  if (document.method !== opener.method) return undefined;
  const secret = await opener.open(document, repositoryId);
  const key = secret && aead.open(slotKey(secret, document), 0, line, sealed);
  if (key === undefined) return undefined;
  const master = { master: document.master, key: Uint8Array.from(key) };
  if (!isGenuine(slot, master, repositoryId))
    throw objectDamaged(slot.name, "it was not written by who had the repository's key");
  return master;
}
