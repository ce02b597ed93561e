import { open } from "node:fs/promises";

const PAGE_BYTES = 4096;
/** Bits a byte. A page of a key stream has 7.94 to 7.97; a compressed one without its header comes near, text and tables do not. */
const RANDOM_BITS = 7.8;
/** What files that look alike begin with: they are not databases whose key is missing. */
const MAGICS = ["1f8b", "504b0304", "28b52ffd", "fd377a585a", "425a68", "89504e47", "ffd8ff", "25504446", "377abcaf"];

/** Whether a file that is no database may be an encrypted one: whole pages, and the first one is noise from its first byte on. */
export async function looksEncrypted(path: string): Promise<boolean> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  if (size < PAGE_BYTES || size % 512 !== 0) return false;
  const { buffer } = await file.read(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, 0);
  return (
    !MAGICS.some((magic) => buffer.toString("hex", 0, magic.length / 2) === magic) && bitsPerByte(buffer) > RANDOM_BITS
  );
}

function bitsPerByte(bytes: Buffer): number {
  const counts = new Map<number, number>();
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / bytes.byteLength) * Math.log2(count / bytes.byteLength);
  return bits;
}
