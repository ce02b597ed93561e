import { hkdfSync } from "node:crypto";

/**
 * One label for each purpose. A key is never used for two.
 * From a repository key: mac, signing, derived, epoch, previous. From what opens a slot: slot. From an epoch's key: the others.
 */
export const LABELS = {
  mac: "stillpoint/1/mac",
  signing: "stillpoint/1/signing",
  epoch: "stillpoint/1/epoch",
  previous: "stillpoint/1/previous",
  pack: "stillpoint/1/pack",
  chunker: "stillpoint/1/chunker",
  dataName: "stillpoint/1/chunk-name/data",
  treeName: "stillpoint/1/chunk-name/tree",
  pagesName: "stillpoint/1/chunk-name/pages",
  object: (kind: string) => `stillpoint/1/object/${kind}`,
  slot: (method: string) => `stillpoint/1/slot/${method}`,
  derived: (label: string) => `stillpoint/1/derived/${label}`,
} as const;

/** HKDF-SHA-256. */
export function deriveKey(key: Uint8Array, salt: Uint8Array, label: string, length = 32): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, salt, label, length));
}
