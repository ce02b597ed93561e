import { scrypt } from "node:crypto";
import { promisify } from "node:util";
import { toInstant } from "@stillpoint/contracts/names";
import type { Secret } from "@stillpoint/contracts/secret";
import { decodeTwoLines, encodeTwoLines } from "../format/authenticated-text.ts";
import { formatUnknown, objectDamaged } from "../format/damage.ts";
import { type KeySlot, keySlot, readDocument } from "../format/documents.ts";
import { FORMAT_VERSION, objectName } from "../format/kinds.ts";
import * as aead from "./aead.ts";

const stretch = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

export type ScryptCost = { n: number; r: number; p: number };
/** 128 MiB and some tenths of a second for each guess. */
export const SCRYPT_COST: ScryptCost = { n: 131_072, r: 8, p: 1 };

export type MasterKey = { master: string; key: Uint8Array };

async function slotKey(passphrase: Secret, { n, r, p, salt }: NonNullable<KeySlot["scrypt"]>): Promise<Uint8Array> {
  return stretch(passphrase.reveal(), Buffer.from(salt, "hex"), 32, { N: n, r, p, maxmem: 128 * n * r * 2 });
}

/** The slot's object: its public line, and the repository's key sealed under what the passphrase gives. */
export async function encodePassphraseSlot(
  master: MasterKey,
  passphrase: Secret,
  cost: ScryptCost,
  random: (length: number) => Uint8Array,
  nowMs: number,
): Promise<{ name: string; bytes: Buffer }> {
  const slot = Buffer.from(random(16)).toString("hex");
  const document: KeySlot = {
    version: FORMAT_VERSION,
    slot,
    type: "opener",
    method: "passphrase",
    master: master.master,
    scrypt: { ...cost, salt: Buffer.from(random(32)).toString("hex") },
    createdAt: toInstant(nowMs),
  };
  const key = await slotKey(passphrase, document.scrypt ?? { ...cost, salt: "" });
  // The key comes from a salt of its own, so that the nonce may be zero.
  const sealed = Buffer.concat(aead.seal(key, 0, Buffer.from(JSON.stringify(document), "utf8"), master.key));
  return { name: objectName("keys", slot), bytes: encodeTwoLines(document, sealed.toString("base64")) };
}

/**
 * The repository's key, or undefined where this passphrase does not open the slot, or where the slot is of another key than
 * `master`: an attempt to make the repository may have left one.
 */
export async function openPassphraseSlot(
  object: string,
  bytes: Uint8Array,
  passphrase: Secret,
  master: string,
): Promise<MasterKey | undefined> {
  const { line, second } = decodeTwoLines(object, bytes);
  const slot = readDocument(keySlot, object, line);
  if (slot.version !== FORMAT_VERSION) throw formatUnknown(object, slot.version);
  if (slot.type !== "opener" || slot.method !== "passphrase" || slot.master !== master) return undefined;
  if (slot.scrypt === undefined) throw objectDamaged(object, "it does not say how its passphrase is stretched");
  const key = aead.open(await slotKey(passphrase, slot.scrypt), 0, line, Buffer.from(second, "base64"));
  return key && { master: slot.master, key: Uint8Array.from(key) };
}
