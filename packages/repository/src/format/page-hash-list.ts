import { NAME_LENGTH } from "./pack-format.ts";

/** As much of a page's SHA-256 as is kept: it is compared with that of one other page, never searched for. */
export const SHORT_HASH_LENGTH = 16;

/** The pages of one chunk, in order: the first bytes of the SHA-256 of each. */
export type ChunkPages = { name: Uint8Array; hashes: Uint8Array };

/** For each chunk: name 32, count of pages 4, their hashes 16 each. */
export function encodePageHashList(chunks: readonly ChunkPages[]): Buffer {
  return Buffer.concat(
    chunks.flatMap(({ name, hashes }) => {
      const count = Buffer.alloc(4);
      count.writeUInt32BE(hashes.length / SHORT_HASH_LENGTH, 0);
      return [name, count, hashes];
    }),
  );
}

/** Undefined where the bytes are no such list. */
export function decodePageHashList(bytes: Uint8Array): ChunkPages[] | undefined {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: ChunkPages[] = [];
  for (let at = 0; at < whole.length; ) {
    const from = at + NAME_LENGTH + 4;
    const end = from > whole.length ? from : from + whole.readUInt32BE(at + NAME_LENGTH) * SHORT_HASH_LENGTH;
    if (end > whole.length) return undefined;
    chunks.push({ name: whole.subarray(at, at + NAME_LENGTH), hashes: whole.subarray(from, end) });
    at = end;
  }
  return chunks;
}
