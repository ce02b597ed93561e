import { StillpointError } from "@stillpoint/contracts/errors";
import { STORAGE_CLASSES, type StorageClass } from "@stillpoint/object-store/object-classes";
import { storeUnsupported } from "@stillpoint/object-store/object-errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { packName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { inParallel } from "./in-parallel.ts";
import { packsOfBackup } from "./needs.ts";

/** What a restore from cold classes asks for before it can begin. */
export type ThawPlan = {
  /** Packs that must be thawed, with those that are being thawed already. What a copy gives at once is not among them. */
  cold: { name: string; size: number; storageClass: StorageClass }[];
  bytes: number;
  byClass: Partial<Record<StorageClass, { objects: number; bytes: number }>>;
  /** At most, by the storage's own statement. */
  takesMs: number;
  /** All packs that are read, cold or not; 0 where the storage has no classes. */
  packs: number;
};

const ASKS_AT_ONCE = 16;
const EVERY_PACK = { has: () => true };

/** Whether the store has the object and gives it without a thaw. One that cannot be asked gives nothing. */
async function isReadable(store: ObjectStore, name: string, signal?: AbortSignal): Promise<boolean> {
  try {
    const info = await store.head(name, signal);
    if (info === undefined) return false;
    const { classes } = store;
    if (classes === undefined || classes.thawTakesMs(info.storageClass ?? "standard") === 0) return true;
    return (await classes.thawState(name, signal)) === "readable";
  } catch (error) {
    if (error instanceof StillpointError) return false;
    throw error;
  }
}

/**
 * Looks at each pack that the backups need. Their trees are never cold, so that this reads without a thaw. `copies`: replicas
 * that readers fall back on; what one of them has in a warm class is read from there.
 */
export async function planThaw(
  context: RepositoryContext,
  backupIds: readonly string[],
  copies: readonly ObjectStore[],
  signal?: AbortSignal,
): Promise<ThawPlan> {
  const plan: ThawPlan = { cold: [], bytes: 0, byClass: {}, takesMs: 0, packs: 0 };
  const { classes } = context.store;
  // The trees are read for nothing where nothing can be cold, and a restore is to begin at once.
  if (classes === undefined) return plan;
  const needed = new Set<string>();
  for (const backupId of backupIds)
    for (const packId of await packsOfBackup(context, backupId, EVERY_PACK, signal)) needed.add(packId);
  plan.packs = needed.size;
  await inParallel(needed, ASKS_AT_ONCE, async (packId) => {
    const name = packName(packId);
    const info = await context.store.head(name, signal);
    const storageClass = info?.storageClass ?? "standard";
    if (info === undefined || classes.thawTakesMs(storageClass) === 0) return;
    if ((await classes.thawState(name, signal)) === "readable") return;
    for (const copy of copies) if (await isReadable(copy, name, signal)) return;
    plan.cold.push({ name, size: info.size, storageClass });
  });
  plan.cold.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { size, storageClass } of plan.cold) {
    plan.bytes += size;
    plan.takesMs = Math.max(plan.takesMs, classes.thawTakesMs(storageClass));
  }
  for (const storageClass of STORAGE_CLASSES) {
    const some = plan.cold.filter((each) => each.storageClass === storageClass);
    if (some.length > 0)
      plan.byClass[storageClass] = { objects: some.length, bytes: some.reduce((sum, { size }) => sum + size, 0) };
  }
  return plan;
}

export type ThawProgress = { readable: number; of: number };
export type ThawOptions = {
  /** For how long the thawed copies stay readable at least. */
  keepDays: number;
  askEveryMs: number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  onProgress?: ((progress: ThawProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};

/** Asks for the thaw of what is planned, and resolves when all of it can be read. Asked again, it goes on waiting. */
export async function thaw(
  store: ObjectStore,
  { cold }: Pick<ThawPlan, "cold">,
  { keepDays, askEveryMs, sleep, onProgress, signal }: ThawOptions,
): Promise<void> {
  const { classes } = store;
  if (cold.length === 0) return;
  if (classes === undefined) throw storeUnsupported(store.url, "this kind of storage has no storage classes");
  await inParallel(cold, ASKS_AT_ONCE, ({ name }) => classes.thaw(name, keepDays, signal));
  const waiting = new Set(cold.map(({ name }) => name));
  for (;;) {
    await inParallel([...waiting], ASKS_AT_ONCE, async (name) => {
      const state = await classes.thawState(name, signal);
      if (state === "readable") waiting.delete(name);
      if (state === "cold")
        throw new StillpointError("OBJECT_COLD", {
          what: "A thaw that was asked for is not under way",
          where: name,
          hint: "ask again",
        });
    });
    onProgress?.({ readable: cold.length - waiting.size, of: cold.length });
    if (waiting.size === 0) return;
    await sleep(askEveryMs, signal);
  }
}
