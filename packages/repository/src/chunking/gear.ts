import { deriveKey, LABELS } from "../keys/derive.ts";

/** 256 secret numbers, one for each byte value: who does not know them cannot tell content from chunk sizes. */
export function gearTable(epochKey: Uint8Array): Uint32Array<ArrayBuffer> {
  const bytes = Buffer.from(deriveKey(epochKey, new Uint8Array(0), LABELS.chunker, 1024));
  return Uint32Array.from({ length: 256 }, (_, value) => bytes.readUInt32BE(value * 4));
}

/**
 * Masks for a wanted average, normalized as in FastCDC: below the target a boundary is four times rarer, beyond it four
 * times more frequent, so that sizes gather around it. The highest bits are taken: they depend on the last 32 bytes.
 */
export function gearMasks(target: number): { rare: number; frequent: number } {
  const bits = Math.round(Math.log2(target));
  const top = (count: number) => (count <= 0 ? 0 : (0xffff_ffff << (32 - Math.min(count, 31))) | 0);
  return { rare: top(bits + 2), frequent: top(bits - 2) };
}
