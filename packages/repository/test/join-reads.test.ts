import { expect, it } from "vitest";
import { type ChunkType, DATA_CHUNK } from "../src/format/chunk-type.ts";
import { joinReads } from "../src/read/chunk-reader.ts";

const KIB = 1024;
const at = (offset: number, length: number, packId = "a", type: ChunkType = DATA_CHUNK) => ({
  name: Uint8Array.of(offset / KIB),
  location: { packId, epoch: 1, position: 0, offset, length, type },
});

it("neighbours in a pack are one read, in whatever order they are asked for", () => {
  const reads = joinReads([at(300 * KIB, 300 * KIB), at(0, 300 * KIB), at(600 * KIB, KIB), at(601 * KIB, KIB, "b")]);
  expect(reads.map(({ packId, offset, length, chunks }) => [packId, offset, length, chunks.length])).toEqual([
    ["a", 0, 601 * KIB, 3],
    ["b", 601 * KIB, KIB, 1],
  ]);
});

it("a small gap between large chunks is read in vain", () => {
  expect(joinReads([at(0, 600 * KIB), at(650 * KIB, 600 * KIB)])).toHaveLength(1);
});

it("what is read in vain is a small part of what is wanted, however it is scattered", () => {
  for (const step of [9, 16, 40, 72]) {
    const wanted = Array.from({ length: 500 }, (_, i) => at(i * step * KIB, 8 * KIB));
    const bytes = joinReads(wanted).reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThanOrEqual(1.125 * 500 * 8 * KIB);
  }
});
