import { objectExists, objectMissing } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { bodyParts, type ObjectStore } from "./object-store.ts";

type Held = { bytes: Uint8Array; modifiedMs: number };

/** Objects in this process, for tests and trials. `clock` is the storage's own. */
export function memoryStore(clock: () => number, objects: Map<string, Held> = new Map()): ObjectStore {
  return {
    url: "memory:",
    async put(name, body, { ifAbsent = false, signal } = {}) {
      assertObjectName(name);
      signal?.throwIfAborted();
      if (ifAbsent && objects.has(name)) throw objectExists(name);
      objects.set(name, { bytes: Uint8Array.from(Buffer.concat(bodyParts(body))), modifiedMs: clock() });
    },
    async get(name, range, signal) {
      assertObjectName(name);
      signal?.throwIfAborted();
      const held = objects.get(name);
      if (held === undefined) throw objectMissing(name);
      return range === undefined ? held.bytes.slice() : held.bytes.slice(range.offset, range.offset + range.length);
    },
    async *list(prefix, { after = "", signal } = {}) {
      const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after);
      for (const name of names.sort()) {
        signal?.throwIfAborted();
        const held = objects.get(name);
        if (held !== undefined) yield { name, size: held.bytes.length, modifiedMs: held.modifiedMs };
      }
    },
    async head(name) {
      assertObjectName(name);
      const held = objects.get(name);
      return held && { name, size: held.bytes.length, modifiedMs: held.modifiedMs };
    },
    async delete(name) {
      assertObjectName(name);
      objects.delete(name);
    },
    now: async () => clock(),
    createsAtomically: () => Promise.resolve(true),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
