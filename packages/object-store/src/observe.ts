import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import { aroundLarge } from "./large-objects.ts";
import { aroundClasses } from "./object-classes.ts";
import { type AroundCall, aroundLocks } from "./object-locks.ts";
import { bodyLength, type ObjectStore } from "./object-store.ts";

/** One call that ended. A listing is one call, from its first name to its last. */
export type ObservedCall = {
  method: string;
  seconds: number;
  sentBytes: number;
  receivedBytes: number;
  /** Absent where it went well; a failure that is none of ours is INTERNAL. */
  error?: ErrorCode | undefined;
};

export type Observer = (call: ObservedCall) => void;

/** Tells of every call. `monotonicMs` is a clock that is never set. */
export function withObserver(store: ObjectStore, observe: Observer, monotonicMs: () => number): ObjectStore {
  function begin(method: string): (bytes?: { sent?: number; received?: number }, error?: unknown) => void {
    const begunMs = monotonicMs();
    return ({ sent = 0, received = 0 } = {}, error) =>
      observe({
        method,
        seconds: (monotonicMs() - begunMs) / 1000,
        sentBytes: sent,
        receivedBytes: received,
        error: error === undefined ? undefined : error instanceof StillpointError ? error.code : "INTERNAL",
      });
  }
  const around: AroundCall = async (call, method) => {
    const end = begin(method);
    try {
      const result = await call();
      end();
      return result;
    } catch (error) {
      end({}, error);
      throw error;
    }
  };

  return {
    url: store.url,
    locks: aroundLocks(store.locks, around),
    classes: aroundClasses(store.classes, around),
    large: aroundLarge(store.large, around),
    async put(name, body, options) {
      const end = begin("put");
      try {
        await store.put(name, body, options);
        end({ sent: bodyLength(body) });
      } catch (error) {
        end({}, error);
        throw error;
      }
    },
    async get(name, range, signal) {
      const end = begin("get");
      try {
        const bytes = await store.get(name, range, signal);
        end({ received: bytes.length });
        return bytes;
      } catch (error) {
        end({}, error);
        throw error;
      }
    },
    async *list(prefix, options) {
      const end = begin("list");
      let failure: unknown;
      try {
        yield* store.list(prefix, options);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        end({}, failure);
      }
    },
    head: (name, signal) => around(() => store.head(name, signal), "head"),
    delete: (name, signal) => around(() => store.delete(name, signal), "delete"),
    now: (signal) => around(() => store.now(signal), "now"),
    createsAtomically: (signal) => around(() => store.createsAtomically(signal), "createsAtomically"),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
