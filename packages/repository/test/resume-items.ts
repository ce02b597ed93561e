import { file, type Item, noise } from "./trial.ts";

/** About so many packs of some 4 MiB: a slab's chunks go into one, whatever its target. */
export function* largeItems(packs: number): Generator<Item> {
  for (let i = 0; i < packs * 4; i++) yield file(`f${i}`, noise(i + 1, 1_048_576));
}
