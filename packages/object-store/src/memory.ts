import type { StorageClass } from "./object-classes.ts";
import { objectCold, objectExists, objectMissing, objectRetained } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { bodyParts, type ObjectInfo, type ObjectStore } from "./object-store.ts";

type Held = {
  bytes: Uint8Array;
  modifiedMs: number;
  retainedUntilMs?: number | undefined;
  legalHold?: boolean;
  storageClass?: StorageClass;
  /** When the copy that was thawed is there, and until when. */
  thawed?: { fromMs: number; untilMs: number } | undefined;
};

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const THAW_MS: Record<StorageClass, number> = {
  standard: 0,
  infrequent: 0,
  archive: 4 * HOUR_MS,
  "deep-archive": 12 * HOUR_MS,
};

/** Objects in this process, for tests and trials, with locks and classes. `clock` is the storage's own. */
export function memoryStore(clock: () => number, objects: Map<string, Held> = new Map()): ObjectStore {
  const infoOf = (name: string, held: Held): ObjectInfo => ({
    name,
    size: held.bytes.length,
    modifiedMs: held.modifiedMs,
    storageClass: held.storageClass ?? "standard",
  });
  const existing = (name: string): Held => {
    assertObjectName(name);
    const held = objects.get(name);
    if (held === undefined) throw objectMissing(name);
    return held;
  };
  const assertFree = (name: string): void => {
    const held = objects.get(name);
    if (held?.legalHold === true) throw objectRetained(name, "it is under a legal hold");
    const until = held?.retainedUntilMs ?? 0;
    if (until > clock()) throw objectRetained(name, `it is locked until ${new Date(until).toISOString()}`);
  };
  const thawState = ({ storageClass = "standard", thawed }: Held) => {
    if (THAW_MS[storageClass] === 0) return "readable";
    if (thawed === undefined || thawed.untilMs <= clock()) return "cold";
    return thawed.fromMs <= clock() ? "readable" : "thawing";
  };

  return {
    url: "memory:",
    async put(name, body, { ifAbsent = false, retainUntilMs, storageClass = "standard", signal } = {}) {
      assertObjectName(name);
      signal?.throwIfAborted();
      if (ifAbsent && objects.has(name)) throw objectExists(name);
      assertFree(name);
      const bytes = Uint8Array.from(Buffer.concat(bodyParts(body)));
      objects.set(name, { bytes, modifiedMs: clock(), retainedUntilMs: retainUntilMs, storageClass });
    },
    async get(name, range, signal) {
      signal?.throwIfAborted();
      const held = existing(name);
      if (thawState(held) !== "readable") throw objectCold(name, "it has to be thawed first");
      return range === undefined ? held.bytes.slice() : held.bytes.slice(range.offset, range.offset + range.length);
    },
    async *list(prefix, { after = "", signal } = {}) {
      const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after);
      for (const name of names.sort()) {
        signal?.throwIfAborted();
        const held = objects.get(name);
        if (held !== undefined) yield infoOf(name, held);
      }
    },
    async head(name) {
      assertObjectName(name);
      const held = objects.get(name);
      return held && infoOf(name, held);
    },
    async delete(name) {
      assertObjectName(name);
      assertFree(name);
      objects.delete(name);
    },
    locks: {
      available: () => Promise.resolve(true),
      async extend(name, untilMs) {
        const held = existing(name);
        held.retainedUntilMs = Math.max(held.retainedUntilMs ?? 0, untilMs);
      },
      async setLegalHold(name, on) {
        existing(name).legalHold = on;
      },
      async state(name) {
        const { retainedUntilMs, legalHold = false } = existing(name);
        return { retainedUntilMs, legalHold };
      },
    },
    classes: {
      async move(name, storageClass) {
        const held = existing(name);
        held.storageClass = storageClass;
        held.thawed = undefined;
      },
      async thaw(name, keepDays) {
        const held = existing(name);
        if (thawState(held) !== "cold") return;
        const fromMs = clock() + THAW_MS[held.storageClass ?? "standard"];
        held.thawed = { fromMs, untilMs: fromMs + keepDays * DAY_MS };
      },
      thawState: async (name) => thawState(existing(name)),
      thawTakesMs: (storageClass) => THAW_MS[storageClass],
    },
    now: async () => clock(),
    createsAtomically: () => Promise.resolve(true),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
