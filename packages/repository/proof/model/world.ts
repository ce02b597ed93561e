import { NOW } from "../../test/trial.ts";
import { type HeldStore, heldStore } from "../held-store.ts";
import { makeSmall } from "../small-repository.ts";
import type { ModelProcess } from "./model-process.ts";
import type { ModelState } from "./model-state.ts";
import { type StepScheduler, stepScheduler } from "./step-scheduler.ts";
import type { WorkKind } from "./works.ts";

/** A repository, its replica, the processes that work on them, and what must be true of it all. */
export type World = {
  seed: number;
  primary: HeldStore;
  replica: HeldStore;
  scheduler: StepScheduler;
  processes: ModelProcess[];
  state: ModelState;
  /** What may be begun. */
  kinds: readonly WorkKind[];
  /** Counts up: ids of what is made are given out by it. */
  next(): number;
  /** What happened, for people. */
  trace: string[];
};

export async function newWorld(seed: number, kinds: readonly WorkKind[]): Promise<World> {
  const primary = heldStore(NOW);
  // The replica is another machine's: its clock is its own.
  const replica = heldStore(NOW + 90_000);
  await makeSmall(primary.store, `world ${seed}`);
  let count = 0;
  return {
    seed,
    primary,
    replica,
    scheduler: stepScheduler(),
    processes: [],
    state: { backups: new Map(), points: new Map() },
    kinds,
    next: () => ++count,
    trace: [],
  };
}
