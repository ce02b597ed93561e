import { join } from "node:path";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Repository } from "../../src/repository.ts";
import { randomFrom } from "../../test/trial.ts";
import type { HeldStore } from "../held-store.ts";
import { openSmall } from "../small-repository.ts";
import { steppedStore } from "./stepped-store.ts";
import type { World } from "./world.ts";

/** One piece of work under way in a process. What it says of the world is true when it ends, or when it never does. */
export type Task = {
  title: string;
  /** The clock moved or others worked meanwhile: it may fail, in words of ours. */
  disturbed: boolean;
  ended: boolean;
  /** What is wrong with how it ended. */
  violation: string | undefined;
  crashed: () => void;
};

export type ModelProcess = {
  id: number;
  /** Which of the machines it runs on: one that follows it finds the chunk index that it left there. */
  machine: number;
  repository: Repository;
  /** What was the primary when it started. */
  home: HeldStore;
  /** The same, as this process reaches it. */
  store: ObjectStore;
  /** The replica, as this process reaches it. */
  replica: ObjectStore;
  /** Our clock is ahead of the storage's by so much. */
  skew: { ms: number };
  random: (length: number) => Uint8Array;
  tasks: Task[];
  /** It said that it must be started anew. */
  isStale?: boolean;
};

/** Two processes share a machine. */
export const MACHINES = [1, 1, 2];

/** A process that has the repository open and waits before each call of a store. */
export async function startProcess(world: World, id: number, machine: number): Promise<ModelProcess> {
  const { primary, scheduler } = world;
  const skew = { ms: 0 };
  const store = steppedStore(primary.store, scheduler, id);
  const repository = await scheduler.freely(id, () =>
    openSmall(store, `${world.seed} ${id}`, {
      leaseMs: world.leaseMs,
      now: () => primary.clock.nowMs + skew.ms,
      // Neither set nor wrong; the storage's clock runs as fast.
      monotonicMs: () => primary.clock.nowMs,
      index: { directory: join(world.directory, String(machine)) },
    }),
  );
  return {
    id,
    machine,
    repository,
    home: primary,
    store,
    replica: steppedStore(world.replica.store, scheduler, id),
    skew,
    random: randomFrom(`${world.seed} ${id} keys`),
    tasks: [],
  };
}
