import * as aead from "../keys/aead.ts";
import { deriveKey, LABELS } from "../keys/derive.ts";
import { type ChunkType, isChunkType } from "./chunk-type.ts";
import { epochUnknown, objectDamaged } from "./damage.ts";
import { decodeHeader, encodeHeader, HEADER_LENGTH } from "./header.ts";
import { packIdOf } from "./kinds.ts";
import { packPieceAad } from "./pack-piece.ts";
import type { EpochKeys } from "./sealed-object.ts";

export const NAME_LENGTH = 32;

/** A chunk's name as a key of maps and sets. */
export const nameKey = (name: Uint8Array) => Buffer.from(name.buffer, name.byteOffset, NAME_LENGTH).toString("hex");
/** The trailer's position under the pack's key; chunks have those from 0 on. */
export const TRAILER_POSITION = 0xffff_ffff;
/** Length of the sealed trailer (4) and the end mark (4). */
export const FOOTER_LENGTH = 8;
const END_MARK = Buffer.from("STPE", "ascii");
export const ENTRY_LENGTH = NAME_LENGTH + 1 + 4 + 4;

/** A chunk in a pack; its place in the list is its position. */
export type PackEntry = { name: Uint8Array; type: ChunkType; offset: number; length: number };

export type PackKey = { header: Uint8Array; key: Uint8Array };

export function newPackKey(packId: Uint8Array, keys: EpochKeys): PackKey {
  const epochKey = keys.keyOf(keys.current);
  if (epochKey === undefined) throw new TypeError("unreachable: the current epoch's key is always there");
  const header = encodeHeader({ kind: "packs", epoch: keys.current, salt: packId });
  return { header, key: deriveKey(epochKey, packId, LABELS.pack) };
}

export function encodePackEntries(entries: readonly PackEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * ENTRY_LENGTH);
  bytes.writeUInt32BE(entries.length, 0);
  entries.forEach((entry, position) => {
    const at = 4 + position * ENTRY_LENGTH;
    bytes.set(entry.name, at);
    bytes[at + NAME_LENGTH] = entry.type;
    bytes.writeUInt32BE(entry.offset, at + NAME_LENGTH + 1);
    bytes.writeUInt32BE(entry.length, at + NAME_LENGTH + 5);
  });
  return bytes;
}

/** Where the list that begins at `at` ends; undefined where the bytes are no such list. */
export function endOfPackEntries(bytes: Buffer, at = 0): number | undefined {
  if (bytes.length < at + 4) return undefined;
  const end = at + 4 + bytes.readUInt32BE(at) * ENTRY_LENGTH;
  if (bytes.length < end) return undefined;
  for (let from = at + 4; from < end; from += ENTRY_LENGTH)
    if (!isChunkType(bytes[from + NAME_LENGTH])) return undefined;
  return end;
}

/** Reads the list that begins at `at`; undefined where the bytes are no such list. */
export function decodePackEntries(bytes: Buffer, at = 0): PackEntry[] | undefined {
  const end = endOfPackEntries(bytes, at);
  if (end === undefined) return undefined;
  const entries: PackEntry[] = [];
  for (let from = at + 4; from < end; from += ENTRY_LENGTH) {
    const type = bytes[from + NAME_LENGTH];
    if (!isChunkType(type)) return undefined;
    entries.push({
      name: bytes.subarray(from, from + NAME_LENGTH),
      type,
      offset: bytes.readUInt32BE(from + NAME_LENGTH + 1),
      length: bytes.readUInt32BE(from + NAME_LENGTH + 5),
    });
  }
  return entries;
}

/** Bytes of a pack that are none of its chunks'. */
export function packOverhead(chunks: number): number {
  return HEADER_LENGTH + 4 + chunks * ENTRY_LENGTH + aead.TAG_LENGTH + FOOTER_LENGTH;
}

/** What follows the last chunk: the sealed list, its length, the end mark. */
export function encodePackTrailer(pack: PackKey, entries: readonly PackEntry[]): Buffer[] {
  const aad = packPieceAad(pack.header, TRAILER_POSITION);
  const sealed = aead.seal(pack.key, TRAILER_POSITION, aad, encodePackEntries(entries));
  const footer = Buffer.alloc(FOOTER_LENGTH);
  footer.writeUInt32BE(
    sealed.reduce((sum, piece) => sum + piece.length, 0),
    0,
  );
  END_MARK.copy(footer, 4);
  return [...sealed, footer];
}

/** The key of a pack that lies under `object`, from the name alone or, with its bytes, after comparing the header. */
export function packKeyOf(object: string, epoch: number, keys: EpochKeys): PackKey {
  const packId = Buffer.from(packIdOf(object), "hex");
  const epochKey = keys.keyOf(epoch);
  if (epochKey === undefined) throw epochUnknown(object, epoch, keys.current);
  return {
    header: encodeHeader({ kind: "packs", epoch, salt: packId }),
    key: deriveKey(epochKey, packId, LABELS.pack),
  };
}

/** The length of a pack's sealed list, which lies before its last bytes. */
export function packListLength(object: string, tail: Uint8Array): number {
  const footer = Buffer.from(tail.buffer, tail.byteOffset, tail.length).subarray(-FOOTER_LENGTH);
  if (footer.length < FOOTER_LENGTH || !footer.subarray(4).equals(END_MARK))
    throw objectDamaged(object, "its end is missing");
  return footer.readUInt32BE(0);
}

/** Opens a pack's sealed list; undefined where it is not of this pack and key. */
export function openPackList(pack: PackKey, sealed: Buffer): PackEntry[] | undefined {
  const plain = aead.open(pack.key, TRAILER_POSITION, packPieceAad(pack.header, TRAILER_POSITION), sealed);
  return plain && decodePackEntries(Buffer.from(plain.buffer, plain.byteOffset, plain.length));
}

/** Reads a whole pack's own list of chunks, after checking that it is the pack of that name. */
export function openPackTrailer(
  object: string,
  bytes: Uint8Array,
  keys: EpochKeys,
): { pack: PackKey; entries: PackEntry[] } {
  const { epoch, salt } = decodeHeader(object, bytes, "packs");
  if (Buffer.from(salt).toString("hex") !== packIdOf(object)) throw objectDamaged(object, "it is another pack");
  const pack = packKeyOf(object, epoch, keys);
  const end = bytes.length - FOOTER_LENGTH;
  const from = end - packListLength(object, bytes);
  if (from < HEADER_LENGTH) throw objectDamaged(object, "its trailer's length is wrong");
  const entries = openPackList(pack, Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from));
  if (entries === undefined) throw objectDamaged(object, "its trailer's bytes are not those that were sealed");
  return { pack, entries };
}
