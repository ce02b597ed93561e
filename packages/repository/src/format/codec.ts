import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** One byte before the length of the plain bytes says how they are stored. */
export const CODEC = { stored: 0, zstd: 1 } as const;
export const CODEC_PREFIX = 5;

const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };

/** What zstd needs at worst; giving it up front makes one allocation of many. */
function worstCase(length: number): number {
  return length + (length >>> 7) + 512;
}

/** codec 1, plain length 4, then the bytes; in two pieces, to save a copy. */
export function pack(plain: Uint8Array): [prefix: Uint8Array, body: Uint8Array] {
  const prefix = Buffer.alloc(CODEC_PREFIX);
  prefix.writeUInt32BE(plain.length, 1);
  const squeezed = zstdCompressSync(plain, { chunkSize: worstCase(plain.length), params: LEVEL });
  // Less than 2 % is not worth the time that decompression takes.
  if (squeezed.length > plain.length - plain.length / 50) return [prefix, plain];
  prefix[0] = CODEC.zstd;
  return [prefix, squeezed];
}

/** The plain bytes, or the reason why these are none. The memory is not shared with anything where it was compressed. */
export function unpack(packed: Buffer<ArrayBufferLike>, longest: number): Buffer<ArrayBufferLike> | string {
  if (packed.length < CODEC_PREFIX) return "it is too short";
  const length = packed.readUInt32BE(1);
  const body = packed.subarray(CODEC_PREFIX);
  if (packed[0] === CODEC.stored) return body.length === length ? body : "its length is not what it says";
  if (packed[0] !== CODEC.zstd) return `its codec ${packed[0]} is not known`;
  if (length > longest) return `it says to be ${length} bytes long`;
  try {
    const plain = zstdDecompressSync(body, { chunkSize: Math.max(length, 64), maxOutputLength: Math.max(length, 1) });
    return plain.length === length ? plain : "its length is not what it says";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
