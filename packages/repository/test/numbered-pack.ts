import type { IndexedPack } from "../src/format/index-format.ts";
import { randomFrom } from "./trial.ts";

/** A pack of 200 chunks that is the same in every process, and the name of the index object that lists it. */
export function numberedPack(number: number): { name: string; pack: IndexedPack } {
  const random = randomFrom(`pack ${number}`);
  const entries = Array.from({ length: 200 }, (_, i) => ({
    name: random(32),
    type: 0 as const,
    offset: 44 + i * 100,
    length: 100,
  }));
  const packId = Buffer.from(random(32)).toString("hex");
  return { name: `index/${packId}`, pack: { packId, epoch: 1, length: 20_100, entries } };
}
