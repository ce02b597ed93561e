import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { isInForce, readHolds } from "../changes/holds.ts";
import { getDocument } from "../documents-store.ts";
import { sealedPoint } from "../format/documents.ts";
import { objectName, packName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { inParallel } from "./in-parallel.ts";
import { packsOfBackup } from "./needs.ts";

const ASKS_AT_ONCE = 16;
const EVERY_PACK = { has: () => true };

/** The objects that a point alone is made of: its own, its backups' and their packs. Keys and index serve all points. */
async function objectsOf(context: RepositoryContext, pointId: string, signal?: AbortSignal): Promise<string[]> {
  const found = await getDocument(context, "points", pointId, sealedPoint, signal);
  if (found === undefined) return [];
  const names = [objectName("points", pointId)];
  for (const { backupId } of found.document.manifests) {
    names.push(objectName("backups", backupId));
    for (const packId of await packsOfBackup(context, backupId, EVERY_PACK, signal)) names.push(packName(packId));
  }
  return names;
}

export type HoldFigures = { points: number; held: number; released: number };

/**
 * Brings a target's legal holds in line with the holds on points: what a held point consists of is kept whatever its
 * retention, what only released holds were on is let go. Doing it again changes nothing.
 */
export async function applyLegalHolds(
  context: RepositoryContext,
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<HoldFigures> {
  const { locks } = store;
  if (locks === undefined || !(await locks.available(signal))) return { points: 0, held: 0, released: 0 };
  const newest = await context.changes.newest(signal);
  const nowMs = await context.store.now(signal);
  const wanted = new Set<string>();
  const others = new Set<string>();
  let points = 0;
  await context.loader.load(signal);
  for (const [pointId, holds] of await readHolds(context, { signal })) {
    const isHeld = holds.some((each) => isInForce(each, newest, nowMs));
    if (isHeld) points++;
    for (const name of await objectsOf(context, pointId, signal)) (isHeld ? wanted : others).add(name);
  }
  const released = [...others].filter((name) => !wanted.has(name));
  const set = (held: boolean) => async (name: string) => {
    await locks.setLegalHold(name, held, signal).catch((error: unknown) => {
      // A replica that is behind does not have it yet; the next time it is there.
      if (!(error instanceof StillpointError && error.code === "OBJECT_MISSING")) throw error;
    });
  };
  await inParallel(wanted, ASKS_AT_ONCE, set(true));
  await inParallel(released, ASKS_AT_ONCE, set(false));
  return { points, held: wanted.size, released: released.length };
}
