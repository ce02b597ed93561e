import { type KvEntry, Kvm } from "@nats-io/kv";
import type { BucketDefinition } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import type { Connection } from "./connection.ts";
import { API, hasApiCode } from "./failure.ts";
import { followed } from "./follow.ts";
import { writeBody } from "./json.ts";
import { type Change, changeOf, readValue } from "./kv-value.ts";
import { persist } from "./persist.ts";
import { bucketStream } from "./topology.ts";

export type Entry<Value> = { key: string; value: Value; revision: number };

/** A conflict is an answer: somebody else wrote. `current` is what is there now; absent: nothing. */
export type Written<Value> = { written: true; revision: number } | { written: false; current?: Entry<Value> };

export type Bucket<Definition extends BucketDefinition = BucketDefinition> = {
  get: (key: string) => Promise<Entry<z.output<Definition["value"]>> | undefined>;
  /** Whatever was there before. */
  put: (key: string, value: z.input<Definition["value"]>) => Promise<number>;
  /** Only if nothing is there. */
  create: (key: string, value: z.input<Definition["value"]>) => Promise<Written<z.output<Definition["value"]>>>;
  /**
   * Only if `revision` is the newest. A write whose answer was lost is repeated and then meets itself as a conflict: its
   * author recognises his own change in `current`.
   */
  update: (
    key: string,
    value: z.input<Definition["value"]>,
    revision: number,
  ) => Promise<Written<z.output<Definition["value"]>>>;
  /** With `revision`: only if it is the newest; false: it was not. */
  delete: (key: string, revision?: number) => Promise<boolean>;
  /** `filter` is a key with `*` and `>`, such as `capture.shop.*`. */
  entries: (filter?: string) => Promise<Entry<z.output<Definition["value"]>>[]>;
  keys: (filter?: string) => Promise<string[]>;
  /** What is there, then `current` once, then each change, across any break of the connection, until the signal. */
  watch: (filter: string, signal: AbortSignal) => AsyncGenerator<Change<z.output<Definition["value"]>>, void, void>;
};

export async function openBucket<Definition extends BucketDefinition>(
  connection: Connection,
  definition: Definition,
): Promise<Bucket<Definition>> {
  type Input = z.input<Definition["value"]>;
  type Value = z.output<Definition["value"]>;
  const { name } = definition;
  // Reads go to the leader: a follower's answer may be older than what one has just written, and would be taken for
  // another author's change.
  const kv = await new Kvm(connection.js).open(name, { allow_direct: false });

  const retrying = <Result>(doing: string, key: string, operation: () => Promise<Result>) =>
    persist(connection, `Cannot ${doing} the bucket ${name}`, key, operation);

  const encode = (key: string, value: Input) => writeBody(definition.value, value, `${name}/${key}`);

  const read = (entry: KvEntry): Entry<Value> => {
    return { key: entry.key, value: readValue(definition, entry.key, entry.value), revision: entry.revision };
  };

  const get = async (key: string): Promise<Entry<Value> | undefined> => {
    const entry = await retrying("read", key, () => kv.get(key));
    return entry === null || entry.operation !== "PUT" ? undefined : read(entry);
  };

  const compareAndSet = async (key: string, write: () => Promise<number>): Promise<Written<Value>> => {
    const revision = await retrying("write", key, () => unlessConflict(write));
    if (revision !== undefined) return { written: true, revision };
    const current = await get(key);
    return current === undefined ? { written: false } : { written: false, current };
  };

  async function* watch(filter: string, signal: AbortSignal): AsyncGenerator<Change<Value>, void, void> {
    const filters = [`$KV.${name}.${filter}`];
    const start = { from: "newest-of-each" } as const;
    for await (const step of followed(connection, { stream: bucketStream(name), filters, start, signal })) {
      yield step.type === "current" ? step : changeOf(definition, step.message);
    }
  }

  async function* present(filter: string): AsyncGenerator<Change<Value>, void, void> {
    const ended = new AbortController();
    for await (const change of watch(filter, ended.signal)) {
      if (change.type === "current") return ended.abort();
      if (change.type !== "deleted") yield change;
    }
  }

  return {
    get,
    put: (key, value) => retrying("write", key, () => kv.put(key, encode(key, value))),
    create: (key, value) => compareAndSet(key, () => kv.create(key, encode(key, value))),
    update: (key, value, revision) => compareAndSet(key, () => kv.update(key, encode(key, value), revision)),
    delete: async (key, revision) => {
      const options = revision === undefined ? {} : { previousSeq: revision };
      const done = await retrying("delete from", key, () =>
        unlessConflict(() => kv.delete(key, options).then(() => 1)),
      );
      return done !== undefined;
    },
    entries: async (filter = ">") => {
      const found: Entry<Value>[] = [];
      for await (const change of present(filter)) {
        if (change.type === "invalid") throw change.error;
        if (change.type === "put") found.push({ key: change.key, value: change.value, revision: change.revision });
      }
      return found;
    },
    keys: async (filter = ">") => {
      const found: string[] = [];
      for await (const change of present(filter)) if (change.type !== "current") found.push(change.key);
      return found.sort();
    },
    watch,
  };
}

async function unlessConflict(write: () => Promise<number>): Promise<number | undefined> {
  try {
    return await write();
  } catch (error) {
    if (hasApiCode(error, API.WRONG_LAST_SEQUENCE, API.WRONG_LAST_SEQUENCE_UNKNOWN)) return undefined;
    throw error;
  }
}
