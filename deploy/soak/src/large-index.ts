import type { World } from "@stillpoint/cli/world";
import { benchLargeIndex } from "@stillpoint/repository/bench/large-index";
import { numbersOf } from "./numbers.ts";

const USAGE = "npm run soak -- index [--chunks 100000000]";

/** A repository of very many chunks is opened and written to within the memory that a vault may take. */
export async function soakIndex(world: World, args: readonly string[]): Promise<string[]> {
  const { chunks } = numbersOf(args, { chunks: 100_000_000 }, USAGE);
  const log = (line: string) => world.out(`${line}\n`);
  const figures = await benchLargeIndex({ chunks, kind: "merged", log });
  for (const { name, value, unit } of figures) log(`${name}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);
  // How long it takes depends on the machine, how much memory does not.
  return figures
    .filter(({ met, unit }) => met === false && unit === "MiB")
    .map(({ name, value, goal }) => `${name}: ${value.toFixed(0)} MiB, more than ${goal}`);
}
