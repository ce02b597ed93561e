import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Repository } from "../../src/repository.ts";
import { difference } from "../exact.ts";
import { openSmall } from "../small-repository.ts";
import { told } from "./begin-task.ts";
import { mustRestore } from "./model-state.ts";
import type { World } from "./world.ts";

/** A complete backup that nobody sealed stays for so long, by the storage's clock. */
const UNSEALED_MS = 7 * 86_400_000;

async function namesBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map(({ name }) => name.slice(prefix.length));
}

async function restores(repository: Repository, id: string, world: World): Promise<string | undefined> {
  const items = world.state.backups.get(id)?.items ?? [];
  return await difference(repository, id, items).catch((error: unknown) => `${id}: ${told(error)}`);
}

/** Backups that must restore: of points that are kept or held, and those that wait for their seal. */
function wantedBackups({ state, primary }: World): Set<string> {
  const wanted = new Set<string>();
  const ofPoints = new Set<string>();
  for (const point of state.points.values())
    for (const id of point.backups) {
      ofPoints.add(id);
      if (mustRestore(point)) wanted.add(id);
    }
  for (const { id, complete, atMs } of state.backups.values())
    if (complete && !ofPoints.has(id) && primary.clock.nowMs - atMs < UNSEALED_MS) wanted.add(id);
  return wanted;
}

async function primaryViolations(world: World): Promise<string[]> {
  await using repository = await openSmall(world.primary.store, "invariants");
  const found: string[] = [];
  const wanted = wantedBackups(world);
  for (const id of wanted) {
    const differs = await restores(repository, id, world);
    if (differs !== undefined) found.push(differs);
  }
  for (const { pointId, existence } of world.state.points.values())
    if (existence === "kept" && (await repository.point(pointId)) === undefined)
      found.push(`point ${pointId} is not there`);
  const { problems } = await repository.check();
  for (const { object, why, backups } of problems)
    if (backups.length === 0 || backups.some((id) => wanted.has(id))) found.push(`check: ${object}: ${why}`);
  return found;
}

/** Whatever a replica was cut off at, it is a repository, and what it has of a backup is enough to restore it. */
async function replicaViolations(world: World): Promise<string[]> {
  const { store } = world.replica;
  if ((await store.head("config")) === undefined) return [];
  const found: string[] = [];
  await using repository = await openSmall(store, "invariants of the replica");
  const wanted = wantedBackups(world);
  const there = await namesBelow(store, "backups/");
  for (const id of there.filter((each) => wanted.has(each))) {
    const differs = await restores(repository, id, world);
    if (differs !== undefined) found.push(`replica: ${differs}`);
  }
  const { problems } = await repository.check();
  for (const { object, why, backups } of problems)
    if (backups.length === 0 || backups.some((id) => wanted.has(id))) found.push(`replica: check: ${object}: ${why}`);
  return found;
}

/** What must be true after each step, looked at by a process that has only just opened the repository. */
export async function violations(world: World): Promise<string[]> {
  try {
    return [...(await primaryViolations(world)), ...(await replicaViolations(world))];
  } catch (error) {
    return [`the repository does not open: ${told(error)}`];
  }
}
