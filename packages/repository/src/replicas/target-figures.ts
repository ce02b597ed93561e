import { StillpointError } from "@stillpoint/contracts/errors";
import type { StorageClass } from "@stillpoint/object-store/object-classes";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ObjectKind } from "../format/kinds.ts";
import { inParallel } from "./in-parallel.ts";
import { kindOf } from "./kinds-replicated.ts";

export type Figures = { objects: number; bytes: number };
export type TargetFigures = {
  /** `other`: what is no part of the repository, such as what is in quarantine. */
  kinds: Partial<Record<ObjectKind | "other", Figures>>;
  classes: Partial<Record<StorageClass, Figures>>;
  /** Absent where the target cannot lock. `asked`: how many objects were asked for their lock. */
  locks?: { asked: number; locked: number; legalHolds: number; firstEndsMs: number | undefined };
};

const ASKS_AT_ONCE = 16;

function count<Key extends string>(figures: Partial<Record<Key, Figures>>, key: Key, size: number): void {
  const { objects, bytes } = figures[key] ?? { objects: 0, bytes: 0 };
  figures[key] = { objects: objects + 1, bytes: bytes + size };
}

/** What lies on a target, by one listing; with `askLocks` each object is asked for its lock, a call for each. */
export async function targetFigures(
  store: ObjectStore,
  { askLocks = false, signal }: { askLocks?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<TargetFigures> {
  const figures: TargetFigures = { kinds: {}, classes: {} };
  const locks = (await store.locks?.available(signal)) === true ? store.locks : undefined;
  if (locks !== undefined) figures.locks = { asked: 0, locked: 0, legalHolds: 0, firstEndsMs: undefined };
  const nowMs = locks === undefined ? 0 : await store.now(signal);
  let some: string[] = [];
  const ask = async () => {
    await inParallel(some, ASKS_AT_ONCE, async (name) => {
      const state = await locks?.state(name, signal).catch((error: unknown) => {
        // Deleted since it was listed.
        if (!(error instanceof StillpointError && error.code === "OBJECT_MISSING")) throw error;
      });
      if (state === undefined || figures.locks === undefined) return;
      figures.locks.asked++;
      if (state.legalHold) figures.locks.legalHolds++;
      if (state.retainedUntilMs === undefined || state.retainedUntilMs <= nowMs) return;
      figures.locks.locked++;
      figures.locks.firstEndsMs = Math.min(
        figures.locks.firstEndsMs ?? Number.POSITIVE_INFINITY,
        state.retainedUntilMs,
      );
    });
    some = [];
  };
  for await (const { name, size, storageClass } of store.list("", { signal })) {
    count(figures.kinds, kindOf(name) ?? "other", size);
    if (storageClass !== undefined) count(figures.classes, storageClass, size);
    if (askLocks && locks !== undefined && some.push(name) === 1000) await ask();
  }
  await ask();
  return figures;
}
