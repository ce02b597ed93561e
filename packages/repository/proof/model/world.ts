import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NOW } from "../../test/trial.ts";
import { type HeldStore, heldStore } from "../held-store.ts";
import { makeSmall } from "../small-repository.ts";
import { MACHINES, type ModelProcess } from "./model-process.ts";
import type { ModelState } from "./model-state.ts";
import { type StepScheduler, stepScheduler } from "./step-scheduler.ts";
import type { WorkKind } from "./works.ts";

/** A repository, its replica, the processes that work on them, and what must be true of it all. */
export type World = AsyncDisposable & {
  seed: number;
  /** How long leases live in it. */
  leaseMs: number;
  primary: HeldStore;
  replica: HeldStore;
  /** A promotion was ordered and not answered: from now on nothing need be written before it is done again. */
  isPromoting: boolean;
  scheduler: StepScheduler;
  processes: ModelProcess[];
  state: ModelState;
  /** What may be begun. */
  kinds: readonly WorkKind[];
  /** Counts up: ids of what is made are given out by it. */
  next(): number;
  /** What happened, for people. */
  trace: string[];
  /** For what processes keep on their machines. */
  directory: string;
};

const HOUR = 3_600_000;
/** As it is by default; and longer than the grace, so that a sweep has to wait for those who are alive. */
const LEASES_MS = [HOUR, 72 * HOUR];

export async function newWorld(seed: number, kinds: readonly WorkKind[]): Promise<World> {
  const primary = heldStore(NOW, new Map(), "memory:one");
  // The replica is another machine's: its clock is its own.
  const replica = heldStore(NOW + 90_000, new Map(), "memory:two");
  await makeSmall(primary.store, `world ${seed}`);
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-model-"));
  for (const machine of new Set(MACHINES)) await mkdir(join(directory, String(machine)));
  const processes: ModelProcess[] = [];
  let count = 0;
  return {
    seed,
    leaseMs: LEASES_MS[seed % LEASES_MS.length] ?? HOUR,
    primary,
    replica,
    isPromoting: false,
    scheduler: stepScheduler(),
    processes,
    state: { backups: new Map(), points: new Map() },
    kinds,
    next: () => ++count,
    trace: [],
    directory,
    async [Symbol.asyncDispose]() {
      // Not waited for: what is under way in them waits for ever.
      for (const { repository } of processes) repository[Symbol.asyncDispose]().then(undefined, () => undefined);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
