import { openSmall } from "../small-repository.ts";
import { told } from "./begin-task.ts";
import type { World } from "./world.ts";

const DAY = 86_400_000;
/** Longer than every span that stands between a deletion and the loss of data, and than any lease. */
const LONG = 40 * DAY;
const COLLECTIONS = 5;

const namesBelow = ({ primary }: World, folder: string) =>
  [...primary.objects.keys()].filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length));

/**
 * A promotion that was broken off once it was said is taken up by doing it again. What cannot be copied is what a collector was
 * about to delete when it was killed: the invariants tell if it was more.
 */
async function endPromotion(world: World): Promise<void> {
  if (!world.isPromoting) return;
  const { primary, replica } = world;
  const name = replica.store.url;
  await using repository = await openSmall(primary.store, "promotes again", { now: () => primary.clock.nowMs });
  world.isPromoting = false;
  if ((await repository.replicas.promotion())?.target !== name) return;
  await repository.replicas.promote(replica.store, { name, by: "the aftermath", acceptLoss: true });
  [world.primary, world.replica] = [replica, primary];
}

/** With nobody at work and all time passed, nothing is left of what was deleted, and another collection finds nothing to do. */
export async function leftovers(world: World): Promise<string[]> {
  try {
    await endPromotion(world);
    await using repository = await openSmall(world.primary.store, "aftermath", {
      now: () => world.primary.clock.nowMs,
    });
    world.primary.clock.nowMs += LONG;
    for (let i = 0; i < COLLECTIONS; i++) {
      await repository.collectGarbage();
      world.primary.clock.nowMs += 2 * DAY;
    }
    const before = [...world.primary.objects.keys()].sort().join();
    await repository.collectGarbage();
    const found = [...world.primary.objects.keys()].sort().join() === before ? [] : ["a further collection finds work"];
    for (const { pointId, existence, holds } of world.state.points.values())
      if (existence === "deleted" && holds.size === 0 && namesBelow(world, "points/").includes(pointId))
        found.push(`point ${pointId} was deleted long ago, and is still there`);
    const points = await Array.fromAsync(repository.pointStates());
    const needed = new Set(points.flatMap(({ point }) => point.sources.flatMap(({ backups }) => backups)));
    for (const id of namesBelow(world, "backups/"))
      if (!needed.has(id)) found.push(`backup ${id} is in no point, and is still there`);
    if (points.length === 0 && namesBelow(world, "packs/").length > 0) found.push("packs are left that nothing needs");
    if (namesBelow(world, "leases/").length > 0) found.push("leases are left of processes that are long dead");
    return found;
  } catch (error) {
    return [`afterwards: ${told(error)}`];
  }
}
