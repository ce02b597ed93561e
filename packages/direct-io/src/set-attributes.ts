import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { SYSTEM_CALL_FLAGS } from "./system-calls.ts";

export type AttributeRequest = { target: { path: string } | { fd: number }; xattrs: Record<string, Uint8Array> };
export type AttributeAnswer = { refused: string[] };

/** Sets extended attributes, in a thread that begins with the first of them. A path that is a link is not followed. */
export function attributeSetter() {
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();

  function begin(): Worker {
    const begun = new Worker(new URL("./attribute-thread.ts", import.meta.url), {
      execArgv: ["--disable-warning=ExperimentalWarning", ...SYSTEM_CALL_FLAGS],
    });
    begun.unref(); // who fails before the end leaves it
    return begun;
  }

  return {
    /** The names of those that could not be set: not permitted, or nothing that this file system or runtime has. */
    set(request: AttributeRequest): Promise<string[]> {
      if (SYSTEM_CALL_FLAGS.length === 0) return Promise.resolve(Object.keys(request.xattrs));
      const answered = last.then(async () => {
        worker ??= begin();
        worker.ref();
        const answer = once(worker, "message");
        worker.postMessage(request);
        const [{ refused }] = (await answer) as [AttributeAnswer]; // our own thread's
        worker.unref();
        return refused;
      });
      last = answered.catch(() => undefined); // thrown to who asked
      return answered;
    },
    async end(): Promise<void> {
      await last;
      await worker?.terminate();
      worker = undefined;
    },
  };
}
