import { packNumbers } from "./pack-numbers.ts";

/** Chunks of a pack that are in use, and their bytes. */
export type Live = { chunks: number; bytes: number };

/** Positions whose bits lie in one array for all packs; most packs have no more. */
const INLINE = 32;

function longer<Numbers extends Uint32Array | Float64Array>(
  numbers: Numbers,
  make: (length: number) => Numbers,
): Numbers {
  const more = make(2 * numbers.length);
  more.set(numbers);
  return more;
}

/**
 * Which chunks of which packs are used: a bit for each position. Takes some 60 bytes for each pack and none for a chunk's
 * name: a hundred million chunks in three million packs are two hundred megabytes.
 */
export function packUse() {
  const numbers = packNumbers();
  /** Packs with a chunk in use. */
  let packs = 0;
  let inline = new Uint32Array(64);
  let chunks = new Uint32Array(64);
  let bytes = new Float64Array(64);
  /** Bits of the positions from `INLINE` on, by the pack's number. */
  const further = new Map<number, Uint8Array>();

  function numberOf(packId: string): number {
    const number = numbers.give(packId);
    if (number === inline.length) {
      inline = longer(inline, (length) => new Uint32Array(length));
      chunks = longer(chunks, (length) => new Uint32Array(length));
      bytes = longer(bytes, (length) => new Float64Array(length));
    }
    return number;
  }

  const isUsed = (number: number | undefined): number is number => number !== undefined && (chunks[number] ?? 0) > 0;

  function isSet(number: number, position: number): boolean {
    if (position < INLINE) return (((inline[number] ?? 0) >>> position) & 1) === 1;
    const at = position - INLINE;
    return (((further.get(number)?.[at >>> 3] ?? 0) >>> (at & 7)) & 1) === 1;
  }

  function set(number: number, position: number): void {
    if (position < INLINE) {
      inline[number] = ((inline[number] ?? 0) | (1 << position)) >>> 0;
      return;
    }
    const at = position - INLINE;
    let bits = further.get(number) ?? new Uint8Array(8);
    if (bits.length <= at >>> 3) {
      const more = new Uint8Array(Math.max(2 * bits.length, (at >>> 3) + 1));
      more.set(bits);
      bits = more;
    }
    bits[at >>> 3] = (bits[at >>> 3] ?? 0) | (1 << (at & 7));
    further.set(number, bits);
  }

  return {
    /** True where this chunk was not in use before. */
    add({ packId, position, length = 0 }: { packId: string; position: number; length?: number }): boolean {
      const number = numberOf(packId);
      if (isSet(number, position)) return false;
      set(number, position);
      if (!isUsed(number)) packs++;
      chunks[number] = (chunks[number] ?? 0) + 1;
      bytes[number] = (bytes[number] ?? 0) + length;
      return true;
    },
    has: (packId: string) => isUsed(numbers.of(packId)),
    uses(packId: string, position: number): boolean {
      const number = numbers.of(packId);
      return number !== undefined && isSet(number, position);
    },
    live(packId: string): Live {
      const number = numbers.of(packId) ?? -1;
      return { chunks: chunks[number] ?? 0, bytes: bytes[number] ?? 0 };
    },
    *packIds(): Generator<string> {
      for (let number = 0; number < numbers.count; number++) if (isUsed(number)) yield numbers.idOf(number);
    },
    get packs() {
      return packs;
    },
    /** Forgets a pack: used again, it begins with nothing. */
    drop(packId: string): void {
      const number = numbers.of(packId);
      if (!isUsed(number)) return;
      packs--;
      inline[number] = 0;
      chunks[number] = 0;
      bytes[number] = 0;
      further.delete(number);
    },
  };
}
export type PackUse = ReturnType<typeof packUse>;
