import * as aead from "../keys/aead.ts";
import { deriveKey, LABELS } from "../keys/derive.ts";
import { pack, unpack } from "./codec.ts";
import { epochUnknown, objectDamaged } from "./damage.ts";
import { decodeHeader, encodeHeader, HEADER_LENGTH, SALT_LENGTH } from "./header.ts";
import type { SealedKind } from "./kinds.ts";

/** The key of each epoch that this repository has. */
export type EpochKeys = {
  current: number;
  keyOf(epoch: number): Uint8Array | undefined;
};

const LONGEST = 256 * 1024 * 1024;

/** Every object has a key of its own, from its salt, so that the nonce may be zero. */
function objectKey(epochKey: Uint8Array, salt: Uint8Array, kind: SealedKind): Uint8Array {
  return deriveKey(epochKey, salt, LABELS.object(kind));
}

/** `id` is bound into the seal: an object that was copied to another name does not open. `index` binds "". */
function boundTo(header: Uint8Array, id: string): Uint8Array {
  return Buffer.concat([header, Buffer.from(id, "utf8")]);
}

export function sealObject(
  kind: SealedKind,
  id: string,
  plain: Uint8Array,
  keys: EpochKeys,
  random: (length: number) => Uint8Array,
): Uint8Array {
  const salt = random(SALT_LENGTH);
  const epochKey = keys.keyOf(keys.current);
  if (epochKey === undefined) throw new TypeError("unreachable: the current epoch's key is always there");
  const header = encodeHeader({ kind, epoch: keys.current, salt });
  const sealed = aead.seal(objectKey(epochKey, salt, kind), 0, boundTo(header, id), ...pack(plain, "default"));
  return Buffer.concat([header, ...sealed]);
}

/** `object` is the name to blame. */
export function openObject(kind: SealedKind, id: string, object: string, bytes: Uint8Array, keys: EpochKeys): Buffer {
  const { epoch, salt } = decodeHeader(object, bytes, kind);
  const epochKey = keys.keyOf(epoch);
  if (epochKey === undefined) throw epochUnknown(object, epoch, keys.current);
  const aad = boundTo(bytes.subarray(0, HEADER_LENGTH), id);
  const packed = aead.open(objectKey(epochKey, salt, kind), 0, aad, bytes.subarray(HEADER_LENGTH));
  if (packed === undefined) throw objectDamaged(object, "its bytes are not those that were sealed");
  const plain = unpack(packed, LONGEST);
  if (typeof plain === "string") throw objectDamaged(object, plain);
  return Buffer.from(plain.buffer, plain.byteOffset, plain.length);
}
