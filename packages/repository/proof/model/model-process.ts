import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Repository } from "../../src/repository.ts";
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
  repository: Repository;
  /** The primary, as this process reaches it. */
  store: ObjectStore;
  /** The replica, as this process reaches it. */
  replica: ObjectStore;
  /** Our clock is ahead of the storage's by so much. */
  skew: { ms: number };
  tasks: Task[];
};

/** A process that has the repository open and waits before each call of a store. */
export async function startProcess(world: World, id: number): Promise<ModelProcess> {
  const { primary, scheduler } = world;
  const skew = { ms: 0 };
  const store = steppedStore(primary.store, scheduler, id);
  const now = () => primary.clock.nowMs + skew.ms;
  const repository = await scheduler.freely(id, () => openSmall(store, `${world.seed} ${id}`, now));
  return { id, repository, store, replica: steppedStore(world.replica.store, scheduler, id), skew, tasks: [] };
}
