import { parentPort, workerData } from "node:worker_threads";
import { giveBack } from "./give-back.ts";
import { performer } from "./perform.ts";
import type { Reply, Request, WorkerSetup } from "./tasks.ts";

const perform = performer(workerData as WorkerSetup); // given by worker-pool.ts alone
const atStart = process.threadCpuUsage();

parentPort?.on("message", ({ id, task }: Request) => {
  const begun = performance.now();
  const costs = () => {
    const { user, system } = process.threadCpuUsage(atStart);
    return { id, wallMs: performance.now() - begun, threadCpuMs: (user + system) / 1000 };
  };
  let reply: Reply;
  let transfer: ArrayBuffer[] = [];
  try {
    const done = perform(task);
    transfer = done.transfer;
    // A message's memory is this thread's own.
    if ("range" in task && task.range instanceof Uint8Array) giveBack(task.range);
    reply = { ...costs(), result: done.result };
  } catch (error) {
    reply = { ...costs(), failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort?.postMessage(reply, transfer);
});
