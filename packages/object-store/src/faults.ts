import { StillpointError } from "@stillpoint/contracts/errors";
import { assertMeets, damaged, type Fault, lostAnswer, type Method, refusal } from "./fault-kinds.ts";
import { type Before, faultMemory, listingOf } from "./fault-memory.ts";
import { objectMissing } from "./object-errors.ts";
import { type ByteRange, bodyParts, type ObjectBody, type ObjectStore, type PutOptions } from "./object-store.ts";

export type { Fault, Method };

export type FaultyStore = {
  store: ObjectStore;
  /** Each call of the method takes the first fault of its queue. */
  add(method: Method, ...faults: Fault[]): void;
  /** The call so many calls from now meets the fault; calls before it that no fault waits for are sound. */
  addAt(method: Method, position: number, fault: Fault): void;
  /** How often a method was called. */
  calls(method: Method): number;
  /** Takes back what was not met yet, and answers how much that was. */
  clear(): number;
  /** Throws if a fault was never met: the test that queued it proves nothing. */
  assertAllMet(): void;
};

/** Any storage, with faults queued per method. */
export function withFaults(store: ObjectStore): FaultyStore {
  const queues = new Map<Method, Fault[]>();
  const counts = new Map<Method, number>();
  const memory = faultMemory();

  const queueOf = (method: Method): Fault[] => {
    const queue = queues.get(method) ?? [];
    queues.set(method, queue);
    return queue;
  };

  async function meet(method: Method, where: string): Promise<Fault> {
    counts.set(method, (counts.get(method) ?? 0) + 1);
    const fault = queues.get(method)?.shift() ?? { fault: "none" };
    const refused = refusal(fault, where);
    if (refused !== undefined) throw refused;
    if (fault.fault === "slow") await fault.until;
    return fault;
  }
  async function around<Result>(
    method: Method,
    where: string,
    call: (fault: Fault) => Promise<Result>,
  ): Promise<Result> {
    const fault = await meet(method, where);
    const result = await call(fault);
    if (fault.fault === "lostAnswer") throw lostAnswer();
    return result;
  }

  async function before(name: string): Promise<Before> {
    const info = await store.head(name);
    return info && { info, bytes: await store.get(name) };
  }

  async function put(name: string, body: ObjectBody, options: PutOptions | undefined, fault: Fault): Promise<void> {
    const old = await before(name);
    if (fault.fault === "lie" && fault.stores === undefined) return;
    const touched = ["truncate", "flip", "lie"].includes(fault.fault);
    await store.put(name, touched ? damaged(Buffer.concat(bodyParts(body)), fault) : body, options);
    memory.wrote(name, old);
    if (fault.fault === "late") memory.hide(name, old, fault.calls);
  }

  async function get(name: string, range: ByteRange | undefined, signal: AbortSignal | undefined): Promise<Uint8Array> {
    memory.pass();
    const late = memory.late(name);
    if (late === undefined) return await store.get(name, range, signal);
    if (late.before === undefined) throw objectMissing(name);
    const { bytes } = late.before;
    return range === undefined ? bytes.slice() : bytes.slice(range.offset, range.offset + range.length);
  }

  async function* list(prefix: string, options: { after?: string | undefined; signal?: AbortSignal | undefined } = {}) {
    const fault = await meet("list", prefix);
    memory.pass();
    const past = memory.past(fault.fault === "oldListing" ? fault.writes : 0);
    if (past.size === 0 && ["none", "slow"].includes(fault.fault)) return yield* store.list(prefix, options);
    const all = listingOf(await Array.fromAsync(store.list(prefix, options)), past, prefix, options.after ?? "");
    if (fault.fault === "loseEntries") all.splice(fault.from, fault.count);
    yield* fault.fault === "breakOff" ? all.slice(0, fault.after) : all;
    if (fault.fault === "breakOff" || fault.fault === "lostAnswer")
      throw new StillpointError("STORE_UNREACHABLE", { what: "Lost the object store within a listing" });
  }

  async function remove(name: string, signal: AbortSignal | undefined, fault: Fault): Promise<void> {
    if (fault.fault === "lie") return;
    const old = await before(name);
    await store.delete(name, signal);
    memory.wrote(name, old);
    if (fault.fault === "late") memory.hide(name, old, fault.calls);
  }

  return {
    store: {
      url: store.url,
      locks: store.locks,
      classes: store.classes,
      put: (name, body, options) => around("put", name, (fault) => put(name, body, options, fault)),
      get: (name, range, signal) =>
        around("get", name, async (fault) => damaged(await get(name, range, signal), fault)),
      list,
      head: (name, signal) =>
        around("head", name, async () => {
          memory.pass();
          const late = memory.late(name);
          return late === undefined ? await store.head(name, signal) : late.before?.info;
        }),
      delete: (name, signal) => around("delete", name, (fault) => remove(name, signal, fault)),
      now: (signal) => around("now", store.url, () => store.now(signal)),
      createsAtomically: (signal) => around("createsAtomically", store.url, () => store.createsAtomically(signal)),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    },
    add(method, ...faults) {
      for (const fault of faults) assertMeets(method, fault);
      queueOf(method).push(...faults);
    },
    addAt(method, position, fault) {
      assertMeets(method, fault);
      const queue = queueOf(method);
      while (queue.length < position) queue.push({ fault: "none" });
      queue[position] = fault;
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
