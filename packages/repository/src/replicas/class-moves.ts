import { STORAGE_CLASSES, type StorageClass } from "@stillpoint/object-store/object-classes";

/** From which age on an object belongs in which class, youngest first. */
export type ClassRule = { afterMs: number; storageClass: StorageClass };

/** A pack, as far as its class is to be decided. */
export type PackUse = {
  name: string;
  size: number;
  storageClass: StorageClass;
  /** When the newest point that needs it was sealed; absent where none does: the collector's business, not ours. */
  neededMs: number | undefined;
  /** Holds pieces of trees: without them nothing can be listed, checked or planned. */
  holdsTree: boolean;
};

export type ClassMove = { name: string; size: number; from: StorageClass; to: StorageClass };

const warmth = (storageClass: StorageClass) => STORAGE_CLASSES.indexOf(storageClass);

/**
 * Pure: which packs belong in another class. A pack's age is that of the newest point that needs it, so that what a recent
 * point needs is never put away. What is read without a thaw stays where it is, even if it is needed again: moving it back
 * costs more than reading it.
 */
export function classMoves(
  packs: Iterable<PackUse>,
  rules: readonly ClassRule[],
  nowMs: number,
  needsThaw: (storageClass: StorageClass) => boolean,
): ClassMove[] {
  const moves: ClassMove[] = [];
  for (const { name, size, storageClass, neededMs, holdsTree } of packs) {
    if (neededMs === undefined) continue;
    const fitting = rules.findLast(({ afterMs }) => nowMs - neededMs >= afterMs)?.storageClass ?? "standard";
    const to = holdsTree ? "standard" : fitting;
    const isColder = warmth(to) > warmth(storageClass);
    if (isColder || (needsThaw(storageClass) && !needsThaw(to))) moves.push({ name, size, from: storageClass, to });
  }
  return moves;
}
