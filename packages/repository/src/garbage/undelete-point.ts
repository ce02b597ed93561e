import { StillpointError } from "@stillpoint/contracts/errors";
import { isThereForGood, wordsOn } from "../changes/existence.ts";
import { sayUndeleted } from "../changes/undeleting.ts";
import { getDocument, listIds } from "../documents-store.ts";
import { sealedPoint } from "../format/documents.ts";
import { objectName, packName } from "../format/kinds.ts";
import { stoppable } from "../leases/confirm-backup.ts";
import { leanOnBackup } from "../leases/lean-on-backups.ts";
import { beginWriting } from "../leases/writing.ts";
import { findPointServing, restsOf } from "../log/point-log.ts";
import { openManifest } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { CondemnedState } from "./condemned-state.ts";

const WHAT = "Cannot undelete a point";
type Order = { by: string; reason?: string | undefined };

function tooLate(pointId: string, why: string): StillpointError {
  return new StillpointError("BASE_GONE", { what: WHAT, where: pointId, why });
}

/** Nothing of it may be in a sweep that has begun: of what is swept nobody knows what is still there a moment later. */
function assertNotSwept(state: CondemnedState, pointId: string, objects: Iterable<string>): void {
  for (const object of objects) {
    const by = state.objects.get(object);
    if (by !== undefined && state.doomed.has(by.name)) throw tooLate(pointId, `${object} is being deleted`);
  }
}

/**
 * Takes a deletion back. Guaranteed: it resolves only if every pack of the point was there after the change was written, under
 * a lease that lets nothing be swept; else the point stays deleted, unless another undeletes it at the same time. In this order:
 * lease, look for a sweep (which announces itself before it looks for leases: one of the two sees the other), chunks, a
 * tentative change, lease and packs again, the change for good, and what was condemned of it is spared. POINT_UNKNOWN where the point is gone, BASE_GONE where a sweep of it has begun, OBJECT_DAMAGED
 * where a part of it is missing.
 */
export async function undeletePoint(context: RepositoryContext, pointId: string, order: Order): Promise<void> {
  const { signal, fail } = stoppable(undefined);
  await using writing = await beginWriting(context, { signal, fail, generation: 0, pins: true });
  const found = await getDocument(context, "points", pointId, sealedPoint);
  if (found === undefined)
    throw new StillpointError("POINT_UNKNOWN", {
      what: WHAT,
      where: pointId,
      why: "the repository holds no such point, or no longer",
    });
  const before = wordsOn(await context.changes.all(), objectName("points", pointId));
  if (isThereForGood(before[0])) return;
  const state = await context.condemned.load(signal);
  await context.loader.load(signal);
  const objects = [objectName("points", pointId)];
  for (const { backupId } of found.document.manifests) {
    objects.push(objectName("backups", backupId));
    const { document } = await openManifest(context, backupId, signal);
    await leanOnBackup(context, writing, { backupId, document }, signal);
  }
  for (const rest of restsOf(found.document.point)) {
    // What is condemned of it is spared below.
    const log = await context.logs.read(
      { ...context, condemned: { load: async () => ({ objects: new Map() }) } },
      rest,
    );
    const serving = findPointServing(log, rest);
    if (serving === undefined) throw tooLate(pointId, `the log of ${rest.source} that it rests on is gone`);
    for (const read of serving.reads) {
      objects.push(read.type === "tail" ? objectName("tails", read.id) : objectName("backups", read.backupId));
      if (read.type === "tail") continue;
      const { document } = await openManifest(context, read.backupId, signal);
      await leanOnBackup(context, writing, { backupId: read.backupId, document }, signal);
    }
  }
  for await (const id of listIds(context, "proofs", { within: `${pointId}/` })) objects.push(objectName("proofs", id));
  objects.push(...writing.packs().map(packName));
  assertNotSwept(state, pointId, objects);
  await writing.confirm();
  const confirm = async () => {
    await writing.confirm();
    if ((await context.store.head(objectName("points", pointId))) === undefined) throw tooLate(pointId, "it is gone");
  };
  await sayUndeleted(context.changes, { object: objectName("points", pointId), ...order, before, confirm });
  await spare(context, objects);
}

/** So that writers lean on its packs again. What is being swept is not spared: the sweep sees for itself what is needed. */
async function spare(context: RepositoryContext, objects: readonly string[]): Promise<void> {
  const state = await context.condemned.load();
  const spared = objects.filter((object) => {
    const by = state.objects.get(object);
    return by !== undefined && !state.doomed.has(by.name);
  });
  if (spared.length > 0) await context.condemned.append(state, { spared });
}
