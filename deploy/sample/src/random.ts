import { createHash } from "node:crypto";

/** A generator of 32-bit numbers. */
export type Random = () => number;

/** sfc32, seeded by the SHA-256 of words: the same words give the same numbers on every machine. */
export function randomOf(...words: (string | number)[]): Random {
  const seed = createHash("sha256").update(words.join("\n")).digest();
  let a = seed.readInt32LE(0);
  let b = seed.readInt32LE(4);
  let c = seed.readInt32LE(8);
  let counter = seed.readInt32LE(12);
  return () => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
}

/** A whole number in `[0, below)`. */
export function below(random: Random, limit: number): number {
  return random() % limit;
}

/** A number in `[0, 1)`. */
export function fraction(random: Random): number {
  return random() / 0x1_0000_0000;
}

export function pick<Item>(random: Random, items: readonly [Item, ...Item[]]): Item {
  return items[below(random, items.length)] ?? items[0];
}
