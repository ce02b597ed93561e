import { StillpointError } from "@stillpoint/contracts/errors";
import { aroundLarge } from "./large-objects.ts";
import { aroundClasses } from "./object-classes.ts";
import { aroundLocks } from "./object-locks.ts";
import { type ByteRange, bodyParts, type ObjectBody, type ObjectStore } from "./object-store.ts";

export type RetryOptions = {
  /** In [0, 1): spreads the waits of many callers. */
  random: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Calls in all, the first included. */
  attempts?: number;
  firstWaitMs?: number;
  longestWaitMs?: number;
};

/** What waiting a few seconds does not mend: space does not come back by itself. */
function isWorthRetrying(error: unknown): boolean {
  return error instanceof StillpointError && error.retry === "backoff" && error.code !== "DISK_FULL";
}

function sameBytes(body: ObjectBody, stored: Uint8Array): boolean {
  return Buffer.concat(bodyParts(body)).equals(stored);
}

/** Asks again after what may pass by itself, with waits that double, each between half and the whole of its length. */
export function withRetry(store: ObjectStore, options: RetryOptions): ObjectStore {
  const { random, sleep, attempts = 6, firstWaitMs = 100, longestWaitMs = 10_000 } = options;

  async function retrying<Result>(call: (attempt: number) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(attempt);
      } catch (error) {
        if (attempt >= attempts || !isWorthRetrying(error)) throw error;
        const wait = Math.min(firstWaitMs * 2 ** (attempt - 1), longestWaitMs);
        await sleep(wait * (0.5 + random() / 2), signal);
      }
    }
  }

  return {
    url: store.url,
    fileOf: store.fileOf,
    locks: aroundLocks(store.locks, (call, _method, signal) => retrying(call, signal)),
    classes: aroundClasses(store.classes, (call, _method, signal) => retrying(call, signal)),
    large: aroundLarge(store.large, (call, _method, signal) => retrying(call, signal)),
    put: (name, body, putOptions = {}) =>
      retrying(async (attempt) => {
        try {
          await store.put(name, body, putOptions);
        } catch (error) {
          const exists = error instanceof StillpointError && error.code === "OBJECT_EXISTS";
          // An attempt of ours may have been stored although its answer got lost.
          const ours = exists && attempt > 1 && sameBytes(body, await store.get(name, undefined, putOptions.signal));
          if (!ours) throw error;
        }
      }, putOptions.signal),
    get: (name: string, range?: ByteRange, signal?: AbortSignal) =>
      retrying(() => store.get(name, range, signal), signal),
    async *list(prefix, { after, signal } = {}) {
      let last = after;
      let listing = store.list(prefix, { after: last, signal })[Symbol.asyncIterator]();
      for (;;) {
        const next = await retrying((attempt) => {
          // A listing that failed cannot go on: a new one begins behind what was given out.
          if (attempt > 1) listing = store.list(prefix, { after: last, signal })[Symbol.asyncIterator]();
          return listing.next();
        }, signal);
        if (next.done) return;
        last = next.value.name;
        yield next.value;
      }
    },
    head: (name, signal) => retrying(() => store.head(name, signal), signal),
    delete: (name, signal) => retrying(() => store.delete(name, signal), signal),
    now: (signal) => retrying(() => store.now(signal), signal),
    createsAtomically: (signal) => retrying(() => store.createsAtomically(signal), signal),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
