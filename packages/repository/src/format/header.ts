import { formatUnknown, objectDamaged } from "./damage.ts";
import { FORMAT_VERSION, OBJECT_KINDS, type ObjectKind } from "./kinds.ts";

/** Length of the header of every sealed object and every pack. */
export const HEADER_LENGTH = 44;
export const SALT_LENGTH = 32;
const MAGIC = Buffer.from("STPT", "ascii");

export type Header = {
  kind: ObjectKind;
  epoch: number;
  /** 256 random bits, the salt of the object's own key; a pack's is its id. */
  salt: Uint8Array;
};

/** magic 4, version 1, kind 1, zero 2, epoch 4, salt 32; integers big endian. */
export function encodeHeader({ kind, epoch, salt }: Header): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  MAGIC.copy(bytes, 0);
  bytes[4] = FORMAT_VERSION;
  bytes[5] = OBJECT_KINDS[kind].code;
  bytes.writeUInt32BE(epoch, 8);
  bytes.set(salt.subarray(0, SALT_LENGTH), 12);
  return bytes;
}

/** `object` is the name to blame. */
export function decodeHeader(object: string, bytes: Uint8Array, kind: ObjectKind): Header {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEADER_LENGTH));
  if (header.length < HEADER_LENGTH) throw objectDamaged(object, `it is only ${bytes.length} bytes long`);
  if (!header.subarray(0, 4).equals(MAGIC)) throw objectDamaged(object, "it does not begin with the format's mark");
  const version = header[4] ?? 0;
  if (version !== FORMAT_VERSION) throw formatUnknown(object, version);
  if (header[5] !== OBJECT_KINDS[kind].code) throw objectDamaged(object, `it is not of kind ${kind}`);
  return { kind, epoch: header.readUInt32BE(8), salt: Uint8Array.from(header.subarray(12, HEADER_LENGTH)) };
}
