/** The one version there is. Another first byte after the magic is refused, never guessed at. */
export const FORMAT_VERSION = 1;

/**
 * Every kind of object: the code that is bound into what seals it, and the folder its objects lie in. Codes are never
 * given out twice.
 */
export const OBJECT_KINDS = {
  config: { code: 1, folder: "config" },
  epochs: { code: 2, folder: "epochs" },
  keys: { code: 3, folder: "keys" },
  packs: { code: 4, folder: "packs" },
  index: { code: 5, folder: "index" },
  backups: { code: 6, folder: "backups" },
  tails: { code: 7, folder: "tails" },
  points: { code: 8, folder: "points" },
  proofs: { code: 9, folder: "proofs" },
  holds: { code: 10, folder: "holds" },
  records: { code: 11, folder: "records" },
  changes: { code: 12, folder: "changes" },
  leases: { code: 13, folder: "leases" },
  condemned: { code: 14, folder: "condemned" },
} as const satisfies Record<string, { code: number; folder: string }>;

export type ObjectKind = keyof typeof OBJECT_KINDS;
/** The kinds whose objects are one sealed document (sealed-object.ts); the others have a form of their own. */
export type SealedKind = Exclude<ObjectKind, "config" | "epochs" | "keys" | "packs">;

export const CONFIG_NAME = "config";

/** The number is zero-padded, so that a listing gives the newest last. */
export function epochName(epoch: number): string {
  return `epochs/${String(epoch).padStart(8, "0")}`;
}

/** Packs lie in 256 folders: a directory of a hundred thousand files is slow on many file systems. */
export function packName(packId: string): string {
  return `packs/${packId.slice(0, 2)}/${packId}`;
}

export function packIdOf(objectName: string): string {
  return objectName.slice(objectName.lastIndexOf("/") + 1);
}

export function objectName(kind: Exclude<ObjectKind, "config" | "epochs" | "packs">, id: string): string {
  return `${OBJECT_KINDS[kind].folder}/${id}`;
}
