import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type ErrorBody, StillpointError } from "@stillpoint/contracts/errors";
import type { Root } from "./roots.ts";
import type { Scan } from "./scan.ts";

export type Scanner = AsyncDisposable & { look: (roots: Root[], signal: AbortSignal) => Promise<Scan> };

/** A thread that looks through directories; one look at a time. */
export function startScanner(exclude: readonly string[]): Scanner {
  const worker = new Worker(new URL("./scan-worker.ts", import.meta.url), {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  return {
    async look(roots, signal) {
      worker.postMessage({ roots, exclude: [...exclude] });
      const [answer] = (await once(worker, "message", { signal })) as [{ scan: Scan } | { error: ErrorBody }]; // our own worker's
      if ("scan" in answer) return answer.scan;
      throw StillpointError.fromBody(answer.error);
    },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}
