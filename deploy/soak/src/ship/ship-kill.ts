import type { World } from "@stillpoint/cli/world";
import { numbersOf } from "../numbers.ts";
import { shipKills } from "./kills.ts";
import { startWrittenSystem } from "./written-system.ts";

const USAGE =
  "npm run soak -- ship-kill [--rounds 24] [--at-once 1] [--seed N]: stores, agents, vault and NATS are killed while logs are shipped";
const LEASE_TTL_MS = 4_000;

/** What the kills need: quick flushes, short leases, no points but those that are asked for. */
export const KILLED_SYSTEM = {
  load: { everyMs: 50, changes: 20, settings: {} },
  flush: "300ms",
  plan: { schedule: [], validate: false },
  environment: {
    STILLPOINT_LEASE_TTL_MS: String(LEASE_TTL_MS),
    STILLPOINT_MAINTENANCE: "gc: off; scrub: off; check: off",
  },
};

/** kill -9 of everything that shipping rests on, in turn: no hole, or a recorded one, and nothing lost that was held. */
export async function soakShipKill(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { rounds, seed, "at-once": atOnce } = numbersOf(args, { rounds: 24, "at-once": 1, seed: ownSeed }, USAGE);
  const told = (line: string) => world.out(`${line}\n`);
  await using written = await startWrittenSystem(world, KILLED_SYSTEM);
  told(`ship-kill: ${rounds} rounds, seed ${seed}, in ${written.directory}`);
  // Awaited here: the system goes when this function is left.
  return await shipKills(written, { rounds, atOnce, seed, told });
}
