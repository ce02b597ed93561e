import { randomFrom } from "../../test/trial.ts";
import { beginTask } from "./begin-task.ts";
import { type ModelProcess, startProcess } from "./model-process.ts";
import type { Choose } from "./works.ts";
import type { World } from "./world.ts";

/** A step is numbers alone, and finds what it is about in the world as it is: so steps can be left out. */
export type Step = { number: number; kind: StepKind; draws: readonly number[] };
type StepKind = "begin" | "run" | "finish" | "crash" | "unheard" | "time" | "skew";

const WEIGHTS: readonly [StepKind, number][] = [
  ["begin", 34],
  ["run", 34],
  ["finish", 12],
  ["time", 10],
  ["crash", 4],
  ["unheard", 3],
  ["skew", 3],
];
const TASKS_AT_ONCE = 2;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** About the lengths that count: a lease and its half, the ages of backups, the grace of what is condemned. */
const SPANS = [MINUTE, 12 * MINUTE, 31 * MINUTE, 61 * MINUTE, 5 * HOUR, DAY, 2 * DAY, 4 * DAY, 8 * DAY];
const SKEWS = [0, -5 * MINUTE, 5 * MINUTE, -2 * HOUR, 2 * HOUR, -3 * DAY, 3 * DAY];
const CALLS = [1, 1, 2, 3, 5, 8, 13, 30];

export function drawSteps(seed: number, count: number): Step[] {
  const bytes = randomFrom(`model ${seed}`);
  const random = () => Buffer.from(bytes(4)).readUInt32LE();
  const kinds = WEIGHTS.flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind));
  return Array.from({ length: count }, (_, i) => ({
    number: i + 1,
    kind: kinds[random() % kinds.length] ?? "run",
    draws: [random(), random(), random(), random()],
  }));
}

/** Each choice takes the next number of the step; from the last on they are mixed anew. */
function chooser(draws: readonly number[]): Choose {
  let at = 0;
  let mixed = 0;
  return (from) => {
    const drawn = draws[at++];
    mixed = drawn ?? (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d) + at) >>> 0;
    return from[mixed % Math.max(1, from.length)];
  };
}

/** Everything that is under way has a witness: the clock moved, or somebody else was at work. */
export function disturb(world: World): void {
  const under = world.processes.flatMap(({ tasks }) => tasks).filter(({ ended }) => !ended);
  for (const task of under) task.disturbed = true;
}

async function begin(world: World, process: ModelProcess, choose: Choose): Promise<string> {
  const under = world.processes.flatMap(({ tasks }) => tasks).filter(({ ended }) => !ended);
  process.tasks = process.tasks.filter(({ ended }) => !ended);
  if (process.isStale || process.home !== world.primary) {
    if (process.tasks.length > 0) return `process ${process.id} is to be started anew`;
    await replace(world, process);
    return `process ${process.id} is started anew`;
  }
  if (process.tasks.length >= TASKS_AT_ONCE) return "too much is under way there";
  const kinds = world.kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  const work = choose(kinds)?.make(world, choose);
  if (work === undefined) return "nothing to do it with";
  beginTask(world, process, work);
  if (under.length > 0) disturb(world);
  return `begin ${work.title} in process ${process.id}`;
}

/** Lets up to so many calls of a process go, in any order that its parallel calls may have. */
export async function run(world: World, process: ModelProcess, calls: number, choose: Choose): Promise<string> {
  let made = 0;
  for (; made < calls; made++) {
    if (world.scheduler.waitingOf(process.id).length === 0 && process.tasks.some(({ ended }) => !ended))
      await world.scheduler.moved();
    const call = choose(world.scheduler.waitingOf(process.id));
    if (call === undefined) break;
    world.trace.push(`  ${process.id}: ${call.call}`);
    world.primary.clock.nowMs++;
    world.replica.clock.nowMs++;
    await world.scheduler.let(call);
  }
  return `run ${made} calls in process ${process.id}`;
}

/** More calls than any piece of work has. */
export const ENOUGH_CALLS = 5_000;

async function replace(world: World, process: ModelProcess): Promise<void> {
  world.scheduler.kill(process.id);
  for (const task of process.tasks.filter(({ ended }) => !ended)) task.crashed();
  // What the system does for a process that is gone: its files are closed. No call of a store gets through any more.
  process.repository[Symbol.asyncDispose]().then(undefined, () => undefined);
  const at = world.processes.indexOf(process);
  world.processes[at] = await startProcess(world, world.next(), process.machine);
}

async function crash(world: World, process: ModelProcess): Promise<string> {
  await replace(world, process);
  return `process ${process.id} is killed`;
}

async function unheard(world: World, process: ModelProcess, choose: Choose): Promise<string> {
  const call = choose(world.scheduler.waitingOf(process.id));
  if (call === undefined) return "no call to lose the answer of";
  await world.scheduler.letUnheard(call);
  await replace(world, process);
  return `process ${process.id} is killed right after ${call.call}`;
}

function time(world: World, choose: Choose): string {
  const span = choose(SPANS) ?? 0;
  world.primary.clock.nowMs += span;
  world.replica.clock.nowMs += span;
  disturb(world);
  return `${span / MINUTE} minutes pass`;
}

function skew(process: ModelProcess, choose: Choose): string {
  process.skew.ms = choose(SKEWS) ?? 0;
  return `the clock of process ${process.id} is off by ${process.skew.ms / MINUTE} minutes`;
}

/** Does the step, and says what it did. */
export async function takeStep(world: World, step: Step): Promise<string> {
  const choose = chooser(step.draws);
  const process = choose(world.processes);
  if (process === undefined) throw new TypeError("unreachable: a world has processes");
  if (step.kind === "begin") return await begin(world, process, choose);
  if (step.kind === "run") return await run(world, process, choose(CALLS) ?? 1, choose);
  if (step.kind === "finish") return await run(world, process, ENOUGH_CALLS, choose);
  if (step.kind === "crash") return await crash(world, process);
  if (step.kind === "unheard") return await unheard(world, process, choose);
  if (step.kind === "time") return time(world, choose);
  return skew(process, choose);
}

/** All that is under way comes to its end. */
export async function finishAll(world: World): Promise<void> {
  for (const process of world.processes) await run(world, process, ENOUGH_CALLS, chooser([]));
}

/** What is wrong with the ends of tasks, each told once; and what hangs, if all should have ended. */
export function taskViolations(world: World): string[] {
  const tasks = world.processes.flatMap((process) => process.tasks);
  const found = tasks.flatMap(({ violation }) => (violation === undefined ? [] : [violation]));
  for (const task of tasks) task.violation = undefined;
  return found;
}
