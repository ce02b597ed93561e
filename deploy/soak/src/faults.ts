import type { World } from "@stillpoint/cli/world";
import { smallRepository } from "@stillpoint/repository/proof/small-repository";
import { type SweepResult, sweep, sweepPairs } from "@stillpoint/repository/proof/sweep";
import { SWEPT_OPERATIONS } from "@stillpoint/repository/proof/swept-operations";
import { fraction, randomOf } from "@stillpoint/sample/random";
import { numbersOf } from "./numbers.ts";

const USAGE = "npm run soak -- faults [--pairs 500] [--seed N]: one fault at every call, then so many draws of two";

/** Every operation of the repository with one fault at each of its calls, and with two drawn ones. */
export async function soakFaults(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { pairs, seed } = numbersOf(args, { pairs: 500, seed: ownSeed }, USAGE);
  const violations: string[] = [];
  const tell = (title: string, faults: string, { trials, failed, named, findings }: SweepResult) => {
    world.out(`${title}, ${faults}: ${trials} trials, ${failed} failed loudly, ${named} left damage that is named\n`);
    for (const finding of findings) world.out(`  ✗ ${finding}\n`);
    violations.push(...findings);
  };
  world.out(`faults: seed ${seed}\n`);
  const base = await smallRepository(3);
  for (const operation of SWEPT_OPERATIONS) {
    world.signal.throwIfAborted();
    tell(operation.title, "one fault", await sweep(base, operation));
    const random = randomOf(operation.title, seed);
    tell(operation.title, "two faults", await sweepPairs(base, operation, pairs, () => fraction(random)));
  }
  return violations;
}
