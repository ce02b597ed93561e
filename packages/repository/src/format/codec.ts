import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** One byte before the length of the plain bytes says how they are stored. */
export const CODEC = { stored: 0, zstd: 1 } as const;
export const CODEC_PREFIX = 5;

/** How hard is tried; what is there is read whatever it was written with. */
export type Compression = "off" | "fast" | "default" | "max";

const LEVELS = { fast: -3, default: 1, max: 12 } as const;

/**
 * What part must be saved: embeddings save 7 % for all of a restore's decompression, and who would rather have the space than
 * the time says `max`.
 */
const LEAST_SAVED = { fast: 0.1, default: 0.1, max: 0.02 } as const;

/** What zstd needs at worst; giving it up front makes one allocation of many. */
function worstCase(length: number): number {
  return length + (length >>> 7) + 512;
}

function squeeze(plain: Uint8Array, level: number): Buffer {
  return zstdCompressSync(plain, {
    chunkSize: worstCase(plain.length),
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
}

/** Below this, to look costs as much as to do it. */
const SAMPLED = 131_072;
const SAMPLES = 4;
const SAMPLE_BYTES = 8192;

/** Whether some pieces of it save too little: found out for a thirtieth of the work. */
function saysNo(plain: Uint8Array, least: number): boolean {
  if (plain.length < SAMPLED) return false;
  const step = Math.floor((plain.length - SAMPLE_BYTES) / (SAMPLES - 1));
  const pieces = Array.from({ length: SAMPLES }, (_, i) => plain.subarray(i * step, i * step + SAMPLE_BYTES));
  const sample = Buffer.concat(pieces);
  return squeeze(sample, LEVELS.default).length > sample.length * (1 - least);
}

/** codec 1, plain length 4, then the bytes; in two pieces, to save a copy. */
export function pack(plain: Uint8Array, compression: Compression): [prefix: Uint8Array, body: Uint8Array] {
  const prefix = Buffer.alloc(CODEC_PREFIX);
  prefix.writeUInt32BE(plain.length, 1);
  if (compression === "off") return [prefix, plain];
  const least = LEAST_SAVED[compression];
  if (compression !== "max" && saysNo(plain, least)) return [prefix, plain];
  const squeezed = squeeze(plain, LEVELS[compression]);
  if (squeezed.length > plain.length * (1 - least)) return [prefix, plain];
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
