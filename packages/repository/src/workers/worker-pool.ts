import { Worker } from "node:worker_threads";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Reply, Request, ResultOf, Task, WorkerSetup } from "./tasks.ts";

type Job = { task: Task; transfer: ArrayBuffer[]; resolve: (result: never) => void; reject: (error: unknown) => void };

/** CPU time of the workers, by what they did: what each thread took, divided as its time was. */
export type StageCpu = Record<Task["task"], number>;

const STAGES = [
  "read",
  "cut",
  "name",
  "pages",
  "seal",
  "open",
  "same",
  "restore",
] as const satisfies readonly Task["task"][];
const noTime = (): StageCpu => ({ read: 0, cut: 0, name: 0, pages: 0, seal: 0, open: 0, same: 0, restore: 0 });

export type WorkerPool = AsyncDisposable & {
  readonly threads: number;
  cpuMs(): StageCpu;
  /** The first free worker does it. Memory in `transfer` belongs to the worker afterwards. */
  run<T extends Task>(task: T, transfer?: ArrayBuffer[]): Promise<ResultOf<T>>;
};

/** More would only queue; this much keeps a worker from waiting for its next task. */
const TASKS_AT_ONCE = 2;

function failure(why: string, cause?: unknown): StillpointError {
  return new StillpointError("INTERNAL", { what: "A worker thread of the repository failed", why, cause });
}

/** Threads for the work per byte. They start with the first task, and one that dies fails its tasks and all later ones. */
export function workerPool(threads: number, setup: WorkerSetup): WorkerPool {
  const waiting: Job[] = [];
  const workers: { worker: Worker; jobs: Map<number, Job>; wallMs: StageCpu; cpuMs: number }[] = [];
  let ids = 0;
  let dead: StillpointError | undefined;

  function die(error: StillpointError): void {
    dead ??= error;
    const jobs = [...waiting.splice(0), ...workers.flatMap((worker) => [...worker.jobs.values()])];
    for (const { jobs: held } of workers) held.clear();
    for (const job of jobs) job.reject(dead);
  }

  function start(): void {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: setup });
    const jobs = new Map<number, Job>();
    const thread = { worker, jobs, wallMs: noTime(), cpuMs: 0 };
    worker.on("message", (reply: Reply) => {
      const job = jobs.get(reply.id);
      if (job === undefined) return;
      jobs.delete(reply.id);
      if (jobs.size === 0) worker.unref();
      thread.wallMs[job.task.task] += reply.wallMs;
      thread.cpuMs = reply.threadCpuMs;
      if ("failed" in reply) job.reject(failure(reply.failed));
      else job.resolve(reply.result as never); // the worker answers each task with its own result
      dispatch();
    });
    worker.on("error", (error) => die(failure(error instanceof Error ? error.message : String(error), error)));
    worker.on("exit", (code) => die(failure(`it ended with code ${code}`)));
    // An idle thread keeps no process alive.
    worker.unref();
    workers.push(thread);
  }

  function dispatch(): void {
    while (waiting.length > 0) {
      const free = workers.reduce((least, each) => (each.jobs.size < least.jobs.size ? each : least), {
        worker: undefined as Worker | undefined,
        jobs: { size: TASKS_AT_ONCE } as { size: number },
      });
      const target = workers.find((each) => each.worker === free.worker);
      const job = target && waiting.shift();
      if (target === undefined || job === undefined) return;
      const id = ids++;
      if (target.jobs.size === 0) target.worker.ref();
      target.jobs.set(id, job);
      const request: Request = { id, task: job.task };
      target.worker.postMessage(request, job.transfer);
    }
  }

  return {
    threads,
    cpuMs() {
      const sum = noTime();
      for (const { wallMs, cpuMs } of workers) {
        const busyMs = Object.values(wallMs).reduce((all, ms) => all + ms, 0);
        for (const stage of STAGES) if (busyMs > 0) sum[stage] += (wallMs[stage] / busyMs) * cpuMs;
      }
      return sum;
    },
    run<T extends Task>(task: T, transfer: ArrayBuffer[] = []): Promise<ResultOf<T>> {
      if (dead !== undefined) return Promise.reject(dead);
      while (workers.length < threads) start();
      const done = new Promise<ResultOf<T>>((resolve, reject) => {
        waiting.push({ task, transfer, resolve, reject });
      });
      dispatch();
      return done;
    },
    async [Symbol.asyncDispose]() {
      die(new StillpointError("CANCELLED", { what: "The repository was closed" }));
      await Promise.all(workers.map(({ worker }) => worker.terminate()));
    },
  };
}
