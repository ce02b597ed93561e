import { StillpointError } from "@stillpoint/contracts/errors";
import { performer } from "./perform.ts";
import type { ResultOf, Task, WorkerSetup } from "./tasks.ts";
import type { WorkerPool } from "./worker-pool.ts";

/**
 * The work per byte in the caller's thread: for little work, where starting a thread costs more than it does, and where the
 * order of things must not hang on threads. Its CPU time is the caller's, so it counts none.
 */
export function inlinePool(setup: WorkerSetup): WorkerPool {
  const perform = performer(setup);
  let closed = false;
  return {
    threads: 0,
    cpuMs: () => ({ read: 0, cut: 0, name: 0, pages: 0, seal: 0, open: 0, same: 0, restore: 0 }),
    async run<T extends Task>(task: T): Promise<ResultOf<T>> {
      if (closed) throw new StillpointError("CANCELLED", { what: "The repository was closed" });
      return perform(task).result as ResultOf<T>; // each task has its own result
    },
    async [Symbol.asyncDispose]() {
      closed = true;
    },
  };
}
