import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { StillpointError } from "@stillpoint/contracts/errors";
import { SYSTEM_CALL_FLAGS } from "@stillpoint/direct-io/system-calls";
import type { Hole } from "@stillpoint/driver/tree";
import type { Root } from "./roots.ts";
import type { Found, Xattrs } from "./scan.ts";
import type { ScanAnswer, ScanRequest } from "./scan-worker.ts";

export type Scanner = AsyncDisposable & {
  /** Whether it can see extended attributes and holes. */
  readonly seesAll: boolean;
  /** A batch at a time, the next one looked for meanwhile. One look at a time. */
  look(roots: Root[], signal: AbortSignal): AsyncGenerator<Found[]>;
  xattrsOf(paths: readonly string[], signal: AbortSignal): Promise<(Xattrs | undefined)[]>;
  holesOf(fd: number, size: number, signal: AbortSignal): Promise<Hole[]>;
};

/** A thread that looks through directories, and at what needs calls that the language's library does not have. */
export function startScanner(exclude: readonly string[]): Scanner {
  const worker = new Worker(new URL("./scan-worker.ts", import.meta.url), {
    execArgv: ["--disable-warning=ExperimentalWarning", ...SYSTEM_CALL_FLAGS],
  });
  let last: Promise<unknown> = Promise.resolve();

  /** One question after the other: the thread answers in their order. */
  function ask(request: ScanRequest, signal: AbortSignal): Promise<ScanAnswer> {
    const answered = last.then(async () => {
      signal.throwIfAborted();
      worker.postMessage(request);
      const [answer] = (await once(worker, "message", { signal })) as [ScanAnswer]; // our own worker's
      if ("error" in answer) throw StillpointError.fromBody(answer.error);
      return answer;
    });
    last = answered.catch(() => undefined); // thrown to who asked
    return answered;
  }

  return {
    seesAll: SYSTEM_CALL_FLAGS.length > 0,
    async *look(roots, signal) {
      await ask({ ask: "begin", roots, exclude: [...exclude] }, signal);
      const next = () => {
        const asked = ask({ ask: "next" }, signal);
        asked.catch(() => undefined); // thrown where it is awaited
        return asked;
      };
      for (let coming = next(); ; ) {
        const answer = await coming;
        if (!("found" in answer) || answer.found === undefined) return;
        coming = next();
        yield answer.found;
      }
    },
    async xattrsOf(paths, signal) {
      if (paths.length === 0 || SYSTEM_CALL_FLAGS.length === 0) return [];
      const answer = await ask({ ask: "xattrs", paths: [...paths] }, signal);
      // A buffer comes as plain bytes out of another thread.
      return "xattrs" in answer ? answer.xattrs.map((each) => each && asBuffers(each)) : [];
    },
    async holesOf(fd, size, signal) {
      if (SYSTEM_CALL_FLAGS.length === 0) return [];
      const answer = await ask({ ask: "holes", fd, size }, signal);
      return "holes" in answer ? answer.holes : [];
    },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}

function asBuffers(xattrs: Record<string, Uint8Array>): Xattrs {
  return Object.fromEntries(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value)]));
}

/** Of many at once: a question to the thread costs more than its answer. */
export async function xattrsByPath(
  scanner: Pick<Scanner, "xattrsOf">,
  some: readonly { path: string; from: string }[],
  signal: AbortSignal,
): Promise<Map<string, Xattrs | undefined>> {
  const xattrs = await scanner.xattrsOf(
    some.map(({ from }) => from),
    signal,
  );
  return new Map(some.map(({ path }, i) => [path, xattrs[i]]));
}
