import { objectDamaged } from "./damage.ts";
import { decodePackEntries, encodePackEntries, endOfPackEntries, type PackEntry } from "./pack-format.ts";

export type IndexedPack = { packId: string; epoch: number; length: number; entries: readonly PackEntry[] };
/** `supersedes`: index objects (by name) whose content is in this one too, once indexes are merged. */
export type IndexContent = { supersedes: readonly string[]; packs: readonly IndexedPack[] };

const HASH_LENGTH = 32;
/** Of each pack in an index object, before its entries. */
export const INDEX_PACK_HEAD = HASH_LENGTH + 4 + 4;

/** count 4, superseded index ids 32 each; count 4, packs: id 32, epoch 4, length 4, entries as in a pack's trailer. */
export function encodeIndex({ supersedes, packs }: IndexContent): Buffer {
  const counted = (count: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(count, 0);
    return bytes;
  };
  const pieces: Buffer[] = [counted(supersedes.length), ...supersedes.map((id) => Buffer.from(id, "hex"))];
  pieces.push(counted(packs.length));
  for (const { packId, epoch, length, entries } of packs) {
    const head = Buffer.alloc(INDEX_PACK_HEAD);
    head.write(packId, 0, "hex");
    head.writeUInt32BE(epoch, HASH_LENGTH);
    head.writeUInt32BE(length, HASH_LENGTH + 4);
    pieces.push(head, encodePackEntries(entries));
  }
  return Buffer.concat(pieces);
}

/**
 * All of it is checked at once. The entries of a pack are made when they are asked for, each time: those of a large index
 * object, all at once, are ten times its bytes.
 */
export function decodeIndex(object: string, bytes: Buffer): IndexContent {
  const cut = () => objectDamaged(object, "its content is cut short");
  const count = (at: number) => {
    if (bytes.length < at + 4) throw cut();
    return bytes.readUInt32BE(at);
  };
  const superseded = count(0);
  let at = 4 + superseded * HASH_LENGTH;
  const supersedes = Array.from({ length: superseded }, (_, i) =>
    bytes.toString("hex", 4 + i * HASH_LENGTH, 4 + (i + 1) * HASH_LENGTH),
  );
  const packs: IndexedPack[] = [];
  let left = count(at);
  for (at += 4; left > 0; left--) {
    if (bytes.length < at + INDEX_PACK_HEAD) throw cut();
    const packId = bytes.toString("hex", at, at + HASH_LENGTH);
    const epoch = bytes.readUInt32BE(at + HASH_LENGTH);
    const length = bytes.readUInt32BE(at + HASH_LENGTH + 4);
    const list = at + INDEX_PACK_HEAD;
    const end = endOfPackEntries(bytes, list);
    if (end === undefined) throw cut();
    packs.push({
      packId,
      epoch,
      length,
      get entries() {
        return decodePackEntries(bytes, list) ?? [];
      },
    });
    at = end;
  }
  return { supersedes, packs };
}
