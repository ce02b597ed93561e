import { StillpointError } from "@stillpoint/contracts/errors";
import { type ByteRange, bodyParts, type ObjectBody, type ObjectStore, type PutOptions } from "./object-store.ts";

type Method = "put" | "get" | "list" | "head" | "delete" | "now" | "createsAtomically";

/** What goes wrong with one call. On `put` a truncated or flipped body is stored, and success is answered. */
export type Fault =
  | { fault: "error"; error: Error }
  | { fault: "outOfSpace" }
  /** The call is carried out, and its answer is lost. */
  | { fault: "lostAnswer" }
  | { fault: "truncate"; toBytes: number }
  | { fault: "flip"; atByte: number }
  /** The call waits for the promise. */
  | { fault: "slow"; until: Promise<void> }
  /** This call is sound: it lets the next fault meet a later one. */
  | { fault: "none" };

export type FaultyStore = {
  store: ObjectStore;
  add(method: Method, ...faults: Fault[]): void;
  /** How often a method was called. */
  calls(method: Method): number;
  /** Takes back what was not met yet, and answers how much that was. */
  clear(): number;
  /** Throws if a fault was never met: the test that queued it proves nothing. */
  assertAllMet(): void;
};

function damaged(bytes: Uint8Array, fault: Fault): Uint8Array {
  if (fault.fault === "truncate") return bytes.slice(0, fault.toBytes);
  if (fault.fault !== "flip") return bytes;
  const copy = bytes.slice();
  const at = fault.atByte < 0 ? copy.length + fault.atByte : fault.atByte;
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}

function lost(): StillpointError {
  return new StillpointError("STORE_UNREACHABLE", { what: "Lost the answer of the object store" });
}

/** Any storage, with faults queued per method: each call takes the first one of its queue. */
export function withFaults(store: ObjectStore): FaultyStore {
  const queues = new Map<Method, Fault[]>();
  const counts = new Map<Method, number>();

  async function meet(method: Method): Promise<Fault> {
    counts.set(method, (counts.get(method) ?? 0) + 1);
    const fault = queues.get(method)?.shift() ?? { fault: "none" };
    if (fault.fault === "error") throw fault.error;
    if (fault.fault === "outOfSpace")
      throw new StillpointError("DISK_FULL", { what: "Cannot write an object", why: "no space left" });
    if (fault.fault === "slow") await fault.until;
    return fault;
  }
  async function around<Result>(method: Method, call: (fault: Fault) => Promise<Result>): Promise<Result> {
    const fault = await meet(method);
    const result = await call(fault);
    if (fault.fault === "lostAnswer") throw lost();
    return result;
  }

  return {
    store: {
      url: store.url,
      locks: store.locks,
      classes: store.classes,
      put: (name: string, body: ObjectBody, options?: PutOptions) =>
        around("put", (fault) => {
          const touched = fault.fault === "truncate" || fault.fault === "flip";
          return store.put(name, touched ? damaged(Buffer.concat(bodyParts(body)), fault) : body, options);
        }),
      get: (name: string, range?: ByteRange, signal?: AbortSignal) =>
        around("get", async (fault) => damaged(await store.get(name, range, signal), fault)),
      async *list(prefix, options) {
        await meet("list");
        yield* store.list(prefix, options);
      },
      head: (name, signal) => around("head", () => store.head(name, signal)),
      delete: (name, signal) => around("delete", () => store.delete(name, signal)),
      now: (signal) => around("now", () => store.now(signal)),
      createsAtomically: (signal) => around("createsAtomically", () => store.createsAtomically(signal)),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    },
    add(method, ...faults) {
      queues.set(method, [...(queues.get(method) ?? []), ...faults]);
    },
    calls: (method) => counts.get(method) ?? 0,
    clear() {
      const left = [...queues.values()].reduce((sum, faults) => sum + faults.length, 0);
      queues.clear();
      return left;
    },
    assertAllMet() {
      const left = [...queues].flatMap(([method, faults]) => faults.map(({ fault }) => `${method}: ${fault}`));
      if (left.length > 0) throw new Error(`faults that were never met: ${left.join(", ")}`);
    },
  };
}
