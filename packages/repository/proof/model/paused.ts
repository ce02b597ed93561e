import { beginTask } from "./begin-task.ts";
import { violations } from "./invariants.ts";
import { type ModelProcess, startProcess } from "./model-process.ts";
import { disturb, ENOUGH_CALLS, run, taskViolations } from "./steps.ts";
import { type Choose, WORK_KINDS } from "./works.ts";
import { newWorld, type World } from "./world.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The seeds of worlds with such. */
const [SHORT_LEASES, LONG_LEASES] = [0, 1];

const first: Choose = (from) => from[0];

function begin(world: World, process: ModelProcess, kind: string): void {
  const work = WORK_KINDS.find((each) => each.kind === kind)?.make(world, first);
  if (work === undefined) throw new TypeError(`nothing to do a ${kind} with`);
  beginTask(world, process, work);
}

async function whole(world: World, process: ModelProcess, kind: string): Promise<void> {
  begin(world, process, kind);
  await run(world, process, ENOUGH_CALLS, first);
}

/** Two processes, in a world whose packs only a point needed that was deleted long ago. */
async function leaning(world: World) {
  const [sleeper, other] = [await startProcess(world, 1, 1), await startProcess(world, 2, 2)];
  world.processes.push(sleeper, other);
  for (const each of ["backup", "seal", "delete"]) await whole(world, other, each);
  world.primary.clock.nowMs += 8 * DAY;
  return { sleeper, other };
}

async function outcome(world: World, sleeper: ModelProcess) {
  const how = world.trace.findLast((line) => line.includes(`in process ${sleeper.id} `)) ?? "";
  return { how, violations: [...taskViolations(world), ...(await violations(world))] };
}

/** How often garbage is collected meanwhile, a little more than a grace apart: until what the work leans on is surely gone. */
const COLLECTIONS = { backup: 3, seal: 9 };

/**
 * A backup, or a seal, that leans on packs which only a deleted point needed, asleep behind its k-th call until its lease is
 * long over and the collector has swept. Then it goes on: it fails, or what it answered for is there.
 */
export async function pausedAt(kind: "backup" | "seal", k: number) {
  await using world = await newWorld(SHORT_LEASES, WORK_KINDS);
  const { sleeper, other } = await leaning(world);
  if (kind === "seal") await whole(world, other, "backup");
  begin(world, sleeper, kind);
  await run(world, sleeper, k, first);
  const wasUnderWay = sleeper.tasks.some(({ ended }) => !ended);
  for (let i = 0; i < COLLECTIONS[kind]; i++) {
    world.primary.clock.nowMs += DAY + HOUR;
    disturb(world);
    await whole(world, other, "collect");
  }
  await run(world, sleeper, ENOUGH_CALLS, first);
  return { wasUnderWay, ...(await outcome(world, sleeper)) };
}

const isDeletion = ({ call }: { call: string }) => call.startsWith("delete packs/");

/**
 * The backup again, with a lease that outlives the grace, asleep behind its k-th call while a collector comes to where it is
 * about to delete a pack; then the backup goes on to its end, and then the collector.
 */
export async function sweptBeside(k: number) {
  await using world = await newWorld(LONG_LEASES, WORK_KINDS);
  const { sleeper, other } = await leaning(world);
  begin(world, sleeper, "backup");
  await run(world, sleeper, k, first);
  const wasUnderWay = sleeper.tasks.some(({ ended }) => !ended);
  disturb(world);
  await whole(world, other, "collect");
  world.primary.clock.nowMs += DAY + HOUR;
  disturb(world);
  begin(world, other, "collect");
  while (!world.scheduler.waitingOf(other.id).some(isDeletion)) {
    const before = world.trace.length;
    await run(world, other, 1, first);
    if (world.trace.length === before) break;
  }
  await run(world, sleeper, ENOUGH_CALLS, first);
  await run(world, other, ENOUGH_CALLS, first);
  return { wasUnderWay, ...(await outcome(world, sleeper)) };
}
