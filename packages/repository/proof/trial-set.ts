import { file, type Item, noise } from "../test/trial.ts";

/**
 * The bytes of one backup: a file that all sets share, one that changes by a page from set to set, one of its own, and small
 * ones. So every backup leans on the packs of others, and has some of its own.
 */
export function trialSet(seed: number, bytes = 40_000): Item[] {
  const pages = Buffer.concat([noise(1_001, 2 * bytes), Buffer.alloc(16_384)]).subarray(0, 2 * bytes);
  noise(seed, 8192).copy(pages, ((seed * 8192) % bytes) & ~8191);
  return [
    file("shared", noise(1_000, bytes)),
    file("pages", pages, "page:8192"),
    file("own", noise(seed, bytes / 2)),
    ...Array.from({ length: 5 }, (_, i) => file(`small/${i}`, noise(seed * 10 + i, 300 * i))),
  ];
}
