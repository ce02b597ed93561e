import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openRepository, type Repository } from "../src/repository.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { file, head, type Item, makeRepository, NOW, namesIn, noise, PASSPHRASE, tarOf, unpack } from "./trial.ts";

export const DAY = 86_400_000;
export const BY = { by: "a test" };
/** Short spans, so that a test tells them apart: one day each. */
export const SETTINGS = { undeleteMs: DAY, graceMs: DAY, youngMs: DAY };
export const LEASE_MS = 3_600_000;

type Held = { bytes: Uint8Array; modifiedMs: number };

export type GarbageTrial = AsyncDisposable & {
  store: ObjectStore;
  /** What the storage holds. */
  objects: Map<string, Held>;
  repository: Repository;
  /** The storage's clock. */
  clock: { nowMs: number; pass(ms: number): void };
  /** Writes a backup `b<n>` with the files, and seals the point n. */
  point(n: number, items: readonly Item[], repository?: Repository): Promise<void>;
  /** Another process, on the same store or on one around it. */
  open(store?: ObjectStore): Promise<Repository>;
  /** Collections, each when what the one before condemned is due, until nothing changes. */
  collectAll(): Promise<void>;
  restores(n: number, items: readonly Item[], repository?: Repository): Promise<boolean>;
};

/** A repository whose storage has a clock of its own, days away from ours. */
export async function garbageTrial(from?: Pick<GarbageTrial, "objects" | "clock">): Promise<GarbageTrial> {
  let nowMs = from?.clock.nowMs ?? NOW + 1000 * DAY;
  const clock = {
    get nowMs() {
      return nowMs;
    },
    pass(ms: number) {
      nowMs += ms;
    },
  };
  const objects = new Map<string, Held>(from?.objects);
  const store = memoryStore(() => nowMs, objects);
  if (from === undefined) await makeRepository(store);
  const opened = new AsyncDisposableStack();
  const open = async (on: ObjectStore = store) =>
    opened.use(await openRepository(on, { passphrase: PASSPHRASE, threads: 0, now: () => NOW, leaseMs: LEASE_MS }));
  const repository = await open();
  const point: GarbageTrial["point"] = async (n, items, by = repository) => {
    await by.writeBackup(head(`b${n}`), tarOf(items));
    await by.sealPoint(pointOf(n, [`b${n}`]));
  };
  return {
    store,
    objects,
    repository,
    clock,
    point,
    open,
    async collectAll() {
      for (let before: string[] = ["?"], names: string[] = []; before.join() !== names.join(); ) {
        before = names;
        clock.pass(8 * DAY);
        await repository.collectGarbage({ settings: SETTINGS });
        names = await namesIn(store);
      }
    },
    async restores(n, items, by = repository) {
      const restored = await unpack(by.readBackup(`b${n}`));
      return (
        restored.length === items.length &&
        restored.every(({ body }, i) => body.equals(items[i]?.body ?? Buffer.alloc(0)))
      );
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** Files that share nothing with those of another seed. */
export function files(seed: number, count = 3): Item[] {
  return Array.from({ length: count }, (_, i) => file(`${seed}-${i}`, noise(seed * 1000 + i, 200_000)));
}

export { trialId };
