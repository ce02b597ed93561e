import type { World } from "@stillpoint/cli/world";
import { runModel } from "@stillpoint/repository/proof/model/run-model";
import { shrink } from "@stillpoint/repository/proof/model/shrink";
import { drawSteps, type Step } from "@stillpoint/repository/proof/model/steps";
import { numbersOf } from "./numbers.ts";

const USAGE = `npm run soak -- model [--steps 5000] [--seed N] [--world 200] [--tries 150]
  --world N   steps in one repository: the next ones are taken in a new one, of the next seed
  --tries N   runs that a failing sequence may take to shrink`;

/** What a failing world is reduced to, with everything that happens in it. */
async function reduced(seed: number, steps: readonly Step[], tries: number): Promise<string[]> {
  const fails = async (some: readonly Step[]) => (await runModel(seed, some)).failedAt !== undefined;
  const left = await shrink(steps, fails, tries);
  const { trace, violations } = await runModel(seed, left);
  return [`${left.length} of ${steps.length} steps are enough:`, ...trace, ...violations.map((each) => `✗ ${each}`)];
}

/** The repository beside a simple model of it, in drawn sequences of everything that can happen to it. */
export async function soakModel(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const numbers = numbersOf(args, { steps: 5_000, seed: ownSeed, world: 200, tries: 150 }, USAGE);
  const violations: string[] = [];
  let seed = numbers.seed;
  for (let left = numbers.steps; left > 0; left -= numbers.world, seed++) {
    world.signal.throwIfAborted();
    const count = Math.min(left, numbers.world);
    const steps = drawSteps(seed, count);
    const { failedAt, violations: found, figures } = await runModel(seed, steps);
    world.out(
      `seed ${seed}: ${count} steps, ${figures.points} points, ${figures.kept} kept, ${figures.objects} objects\n`,
    );
    if (failedAt === undefined) continue;
    world.out(`✗ after step ${failedAt}; again with --seed ${seed} --steps ${failedAt}\n`);
    for (const line of await reduced(seed, steps.slice(0, failedAt), numbers.tries)) world.out(`  ${line}\n`);
    violations.push(...found.map((each) => `seed ${seed}, step ${failedAt}: ${each}`));
  }
  return violations;
}
