import { setImmediate as nextTurn } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectInfo, ObjectStore } from "@stillpoint/object-store/object-store";
import type { EpochKeys } from "../format/sealed-object.ts";
import { readVerified } from "../replicas/other-copies.ts";
import { openIndex } from "./index-objects.ts";
import type { OpenChunkIndex } from "./open-chunk-index.ts";

const READS_AT_ONCE = 8;
const ASKED_AT_ONCE = 16;
/** Bytes of index objects in memory, beside the one that is being taken up. */
const READ_BYTES = 32 * 1024 * 1024;

export interface IndexLoader {
  /** Takes up what came and what went since: other writers' index objects, and what the collector deleted. */
  load(signal?: AbortSignal): Promise<void>;
  /**
   * Index objects that could not be opened when they were last looked at. What they alone list counts as absent, so that
   * the rest can be read and written. Who deletes must not go on while there are any.
   */
  readonly damaged: ReadonlyMap<string, StillpointError>;
}

/** Fetches objects some at a time and answers them in order, each as it was asked for. */
async function* fetchAll(
  store: ObjectStore,
  objects: readonly ObjectInfo[],
  signal?: AbortSignal,
): AsyncGenerator<{ name: string; bytes: Promise<Uint8Array> }> {
  const under: { name: string; size: number; bytes: Promise<Uint8Array> }[] = [];
  let size = 0;
  let next = 0;
  for (;;) {
    for (let object = objects[next]; object !== undefined; object = objects[next]) {
      if (under.length > 0 && (under.length >= READS_AT_ONCE || size + object.size > READ_BYTES)) break;
      next++;
      size += object.size;
      const bytes = store.get(object.name, undefined, signal);
      bytes.catch(() => undefined); // thrown where it is taken
      under.push({ ...object, bytes });
    }
    const first = under.shift();
    if (first === undefined) return;
    yield first;
    size -= first.size;
  }
}

export function indexLoader(store: ObjectStore, index: OpenChunkIndex, keys: EpochKeys): IndexLoader {
  const damaged = new Map<string, StillpointError>();
  let last: Promise<void> = Promise.resolve();

  /** A listing may come late: only what is gone when it is looked at by itself is gone. */
  async function forgetGone(listed: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    const missing = index.objects().filter((name) => !listed.has(name));
    for (let at = 0; at < missing.length; at += ASKED_AT_ONCE)
      await Promise.all(
        missing.slice(at, at + ASKED_AT_ONCE).map(async (name) => {
          if ((await store.head(name, signal)) === undefined) index.unlist(name);
        }),
      );
  }

  async function takeUp(name: string, bytes: Promise<Uint8Array>, signal?: AbortSignal): Promise<void> {
    try {
      const content = await readVerified(store, name, async (from) =>
        openIndex(name, await (from === store ? bytes : from.get(name, undefined, signal)), keys),
      );
      index.add(name, content);
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      if (error.code === "OBJECT_MISSING") return; // deleted since it was listed
      if (error.code !== "OBJECT_DAMAGED") throw error;
      damaged.set(name, error);
    }
  }

  async function look(signal?: AbortSignal): Promise<void> {
    index.prepare(0);
    const listed: ObjectInfo[] = [];
    for await (const object of store.list("index/", { signal })) listed.push(object);
    await forgetGone(new Set(listed.map(({ name }) => name)), signal);
    // The long ones first: they replace short ones, which then need no reading.
    const fresh = listed.filter(({ name }) => !index.knows(name)).sort((a, b) => b.size - a.size);
    index.prepare(fresh.reduce((sum, { size }) => sum + size, 0));
    damaged.clear();
    for await (const { name, bytes } of fetchAll(store, fresh, signal)) {
      if (!index.knows(name)) await takeUp(name, bytes, signal);
      await nextTurn(); // others of this thread have their turn
    }
    await index.settle();
  }

  return {
    damaged,
    load(signal) {
      // One after the other: each takes up what was listed before it was asked for.
      const loaded = last.then(() => look(signal));
      last = loaded.catch(() => undefined);
      return loaded;
    },
  };
}
