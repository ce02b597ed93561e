import { StillpointError } from "@stillpoint/contracts/errors";
import { namedTargets } from "@stillpoint/object-store/named-targets";
import { type OpenTarget, openTargets } from "@stillpoint/object-store/open-target";
import { targetWorld } from "@stillpoint/object-store/target-world";
import type { Opener } from "@stillpoint/repository/keys/opener";
import { findPrimary, type Roles } from "@stillpoint/repository/replicas/find-primary";
import { locking } from "@stillpoint/repository/replicas/object-lock";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { indexCache } from "./index-cache.ts";
import { type KeyOptions, openerOf } from "./key/key-options.ts";
import type { World } from "./world.ts";

export type OpenedTargets = AsyncDisposable & Roles<OpenTarget> & { opener: Opener };

/**
 * The targets that a targets file names, or the one of a URL, in the roles that the newest promotion gives them. `orFirst`: where
 * it names none of them, as they stand.
 */
export async function openAllTargets(
  world: World,
  where: string,
  key: KeyOptions,
  { orFirst = false } = {},
): Promise<OpenedTargets> {
  await using opening = new AsyncDisposableStack();
  const opener = await openerOf(world, key);
  const machine = targetWorld(world.environment, { now: world.clock.now });
  const opened = opening.use(await openTargets(namedTargets(where, machine.readFile), machine));
  const lock = (target: OpenTarget) => locking(target, world.clock.now);
  const roles = await findPrimary([lock(opened.primary), ...opened.replicas.map(lock)], opener, {
    random: world.random,
    now: world.clock.now,
    orFirst,
  });
  const all = opening.move();
  return { ...roles, opener, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The repository on one target; the others serve what it cannot. */
export function openOn(
  world: World,
  { opener, primary, replicas }: Pick<OpenedTargets, "opener" | "primary" | "replicas">,
  target: OpenTarget,
): Promise<Repository> {
  const others = [primary, ...replicas].filter((each) => each !== target);
  return openRepository(target.store, {
    opener,
    index: indexCache(world),
    target: target.name,
    copies: others.map(({ store }) => store),
    fellBack: ({ object, from, pack, error }) =>
      world.errorLine(`${object}: chunks of it were read from ${pack ?? from}: ${error.message}`),
  });
}

/** For who only reads: on the primary, or, where that is out of reach, on the first replica that opens. */
export async function openForReading(world: World, targets: OpenedTargets): Promise<Repository> {
  try {
    return await openOn(world, targets, targets.primary);
  } catch (error) {
    if (!(error instanceof StillpointError) || targets.replicas.length === 0) throw error;
    for (const replica of targets.replicas) {
      const opened = await openOn(world, targets, replica).catch((failure: unknown) => {
        // The primary's failure is what is told where no replica opens.
        if (!(failure instanceof StillpointError)) throw failure;
      });
      if (opened === undefined) continue;
      world.errorLine(`reading from replica ${replica.name}, which may be behind: ${error.message}`);
      return opened;
    }
    throw error;
  }
}

export function targetNamed(targets: Pick<OpenedTargets, "primary" | "replicas">, name: string): OpenTarget {
  const all = [targets.primary, ...targets.replicas];
  const found = all.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new StillpointError("NOT_FOUND", {
    what: "There is no such target",
    where: name,
    why: `there are ${all.map((each) => each.name).join(", ")}`,
    hint: "name the targets file by --repository",
  });
}
