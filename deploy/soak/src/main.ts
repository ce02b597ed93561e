import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runAsCommand } from "@stillpoint/cli/run-as-command";
import type { World } from "@stillpoint/cli/world";
import { StillpointError } from "@stillpoint/contracts/errors";
import { AREAS } from "./areas.ts";
import { bounds } from "./bounds.ts";
import { brokenHooks } from "./broken-hooks.ts";
import { kill } from "./kill.ts";
import { boundsLine, killLine } from "./lines.ts";
import { type SoakArguments, soakArguments } from "./options.ts";
import { type SoakedSystem, startSoakedSystem } from "./soaked-system.ts";

/** Longer than a pause that a busy machine makes, short enough that a killed one's successor comes soon. */
const LEASE_TTL_MS = 4_000;

await runAsCommand(async (world) => {
  const [named = "", ...rest] = process.argv.slice(2);
  const area = AREAS[named];
  if (area !== undefined) return report(world, named, await area(world, rest));
  const args = soakArguments(process.argv.slice(2), 1 + (world.clock.now() % 1_000_000));
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-soak-"));
  await chmod(directory, 0o755); // servers that do not run as root pass through
  world.out(`soak ${args.kind}: ${args.rounds} rounds, seed ${args.seed}, scale ${args.scale}, in ${directory}\n`);
  const remove = () => rm(directory, { recursive: true, force: true });
  const violations = await soak(worldIn(world, directory), args).catch(async (error: unknown) => {
    if (world.signal.aborted) await remove();
    throw error;
  });
  if (violations.length === 0) {
    await remove();
    world.out(`✓ ${args.rounds} rounds, nothing lost, nothing mixed\n`);
    return;
  }
  world.out(`✗ ${violations.length} violations in ${args.rounds} rounds; again with --seed ${args.seed}\n`);
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "The soak found violations",
    where: directory,
    why: `${violations.length} in ${args.rounds} rounds, the first: ${violations[0]}`,
    hint: "see the logs and the repository that are kept there",
  });
});

function report(world: World, area: string, violations: readonly string[]): void {
  if (violations.length === 0) {
    world.out(`✓ ${area}: no violation\n`);
    return;
  }
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "The soak found violations",
    where: area,
    why: `${violations.length}, the first: ${violations[0]}`,
    hint: "the seed that was printed draws the same again",
  });
}

async function soak(world: World, args: SoakArguments): Promise<string[]> {
  const { scale, load, rounds, seed } = args;
  await using soaked = await startSoakedSystem(world, { scale, load, leaseTtlMs: LEASE_TTL_MS });
  // Awaited here: the system goes when this function is left.
  return await (args.kind === "bounds" ? soakBounds(soaked, rounds, seed) : soakKills(soaked, rounds, seed));
}

async function soakBounds(soaked: SoakedSystem, rounds: number, seed: number): Promise<string[]> {
  const say = (line: string) => soaked.world.out(`${line}\n`);
  const done = await bounds(soaked, { rounds, seed, plan: "all", told: (round) => say(boundsLine(round)) });
  const { found, violations } = await brokenHooks(soaked);
  say(`with a hook that stops nobody the same proof finds: ${found[0] ?? "nothing"}`);
  return [...done.flatMap((round) => round.violations), ...violations];
}

async function soakKills(soaked: SoakedSystem, rounds: number, seed: number): Promise<string[]> {
  const say = (line: string) => soaked.world.out(`${line}\n`);
  const done = await kill(soaked, { rounds, seed, told: (round) => say(killLine(round)) });
  const { problems } = await soaked.repository.check({ readData: true });
  return [...done.flatMap(({ violations }) => violations), ...problems.map(({ object, why }) => `${object}: ${why}`)];
}

/** Nothing of the person's own installation reaches the soak's. */
function worldIn(world: World, directory: string): World {
  const { PATH, TMPDIR } = world.environment;
  return { ...world, home: join(directory, "home"), environment: { PATH, TMPDIR, HOME: directory } };
}
