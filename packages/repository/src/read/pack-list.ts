import type { ObjectInfo, ObjectStore } from "@stillpoint/object-store/object-store";
import { objectDamaged } from "../format/damage.ts";
import { HEADER_LENGTH } from "../format/header.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { packIdOf } from "../format/kinds.ts";
import { FOOTER_LENGTH, openPackList, packKeyOf, packListLength } from "../format/pack-format.ts";
import type { EpochKeys } from "../format/sealed-object.ts";

/** Holds the list of most packs: a second request costs more than these bytes. */
const TAIL_BYTES = 65_536;

/**
 * What a pack says of itself, from its last bytes, without reading it. The header is not asked for: under which epoch's
 * key the list opens says as much. OBJECT_DAMAGED where it opens under none.
 */
export async function readPackList(
  store: ObjectStore,
  { name, size }: Pick<ObjectInfo, "name" | "size">,
  keys: EpochKeys,
  signal?: AbortSignal,
): Promise<IndexedPack> {
  const lastBytes = (length: number) => store.get(name, { offset: size - length, length }, signal);
  let tail = await lastBytes(Math.min(size, TAIL_BYTES));
  const length = packListLength(name, tail);
  if (HEADER_LENGTH + length + FOOTER_LENGTH > size) throw objectDamaged(name, "its trailer's length is wrong");
  if (length + FOOTER_LENGTH > tail.length) tail = await lastBytes(length + FOOTER_LENGTH);
  const from = tail.length - FOOTER_LENGTH - length;
  if (from < 0) throw objectDamaged(name, "it is cut short");
  const sealed = Buffer.from(tail.buffer, tail.byteOffset + from, length);
  for (let epoch = keys.current; epoch > 0; epoch--) {
    if (keys.keyOf(epoch) === undefined) continue;
    const entries = openPackList(packKeyOf(name, epoch, keys), sealed);
    if (entries !== undefined) return { packId: packIdOf(name), epoch, length: size, entries };
  }
  throw objectDamaged(name, "its trailer's bytes are not those that were sealed");
}
