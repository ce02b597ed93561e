import { createCipheriv, createDecipheriv } from "node:crypto";

export const TAG_LENGTH = 16;
const NONCE_LENGTH = 12;

/** The position of what is sealed under one key, as its nonce: no position is used twice under a key. */
export function counterNonce(position: number): Buffer {
  const nonce = Buffer.alloc(NONCE_LENGTH);
  nonce.writeUInt32BE(position, 8);
  return nonce;
}

/** AES-256-GCM; the pieces of the result in order: ciphertext, tag. */
export function seal(key: Uint8Array, position: number, aad: Uint8Array, ...plain: Uint8Array[]): Buffer[] {
  const cipher = createCipheriv("aes-256-gcm", key, counterNonce(position)).setAAD(aad);
  const pieces = plain.map((piece) => cipher.update(piece));
  return [...pieces, cipher.final(), cipher.getAuthTag()];
}

/** Undefined where the tag does not fit: a wrong key, or bytes that are not those that were sealed. */
export function open(
  key: Uint8Array,
  position: number,
  aad: Uint8Array,
  sealed: Uint8Array,
): Buffer<ArrayBufferLike> | undefined {
  if (sealed.length < TAG_LENGTH) return undefined;
  const body = sealed.subarray(0, sealed.length - TAG_LENGTH);
  const decipher = createDecipheriv("aes-256-gcm", key, counterNonce(position), { authTagLength: TAG_LENGTH });
  decipher.setAAD(aad).setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH));
  const plain = decipher.update(body);
  try {
    decipher.final();
  } catch {
    return undefined; // the one thing `final` throws for; what was deciphered is dropped here
  }
  return plain;
}
