import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import { deletionOf } from "../changes/deletion.ts";
import { isTentative, isThereForGood, wordsOn } from "../changes/existence.ts";
import { sayNotSealed, sayUndeleted } from "../changes/undeleting.ts";
import { putDocument } from "../documents-store.ts";
import { objectName } from "../format/kinds.ts";
import { undeletePoint } from "../garbage/undelete-point.ts";
import { restsOf, servePoint } from "../log/point-log.ts";
import { findPoint } from "../points.ts";
import { openManifest } from "../read/read-tree.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { stoppable } from "./confirm-backup.ts";
import { leanOnBackups, oldestGeneration } from "./lean-on-backups.ts";
import { leaseLost } from "./renewed-lease.ts";
import { beginWriting } from "./writing.ts";

const DAY_MS = 86_400_000;
/** A complete backup that is in no point is kept for so long by the storage's clock. */
export const UNSEALED_MS = 7 * DAY_MS;
/** An older one is not sealed: between this and the other lies the time that a seal may take. */
export const SEAL_WITHIN_MS = 3 * DAY_MS;

const WHAT = "Cannot seal a point";
/** Who deletes what was sealed too late. */
const SEAL = "seal";

/** Backups in a point that is there, or was deleted so recently that nothing of it can be condemned soon. */
async function inOtherPoints(
  context: RepositoryContext,
  pointId: string | undefined,
  nowMs: number,
): Promise<Set<string>> {
  const newest = await context.changes.newest();
  const sealed = new Set<string>();
  for (const [other, { backups }] of await context.sealed.read()) {
    const deletion = deletionOf(newest, other);
    if (other === pointId || (deletion !== undefined && nowMs - deletion.atMs > SEAL_WITHIN_MS)) continue;
    for (const backupId of backups) sealed.add(backupId);
  }
  return sealed;
}

/** The first of these backups that has been complete for too long, and is in no other point: the collector may be about to take it. */
export async function leftAlone(
  context: RepositoryContext,
  pointId: string | undefined,
  backupIds: readonly string[],
): Promise<string | undefined> {
  const nowMs = await context.store.now();
  const heads = await Promise.all(
    backupIds.map(async (backupId) => ({
      backupId,
      storedMs: (await context.store.head(objectName("backups", backupId)))?.modifiedMs ?? 0,
    })),
  );
  const old = heads.filter(({ storedMs }) => nowMs - storedMs > SEAL_WITHIN_MS);
  if (old.length === 0) return undefined;
  const sealed = await inOtherPoints(context, pointId, nowMs);
  return old.find(({ backupId }) => !sealed.has(backupId))?.backupId;
}

async function assertYoungOrSealed(context: RepositoryContext, point: Point, backupIds: readonly string[]) {
  const late = await leftAlone(context, point.pointId, backupIds);
  if (late !== undefined)
    throw new StillpointError("BASE_GONE", {
      what: WHAT,
      where: objectName("backups", late),
      why: "it has been complete for more than 3 days and is in no point: the collector may be about to take it",
      hint: "take a new backup; what is stored already is not stored twice",
    });
}

/**
 * Says that a point which another try has put there for good, for that one deletes it where it was asleep for too long. A
 * deletion that came meanwhile stays: the next try undeletes one of a seal, with all that this takes.
 */
async function answerFor(context: RepositoryContext, pointId: string, confirm: () => Promise<void>): Promise<void> {
  const object = objectName("points", pointId);
  const said = async () => wordsOn(await context.changes.all(), object);
  const before = await said();
  const [newest] = before;
  // A person's deletion is not a seal's to take back.
  if (newest?.change === "delete" && newest.by !== SEAL) return;
  if (newest !== undefined && isThereForGood(newest)) return;
  await sayUndeleted(context.changes, {
    object,
    by: SEAL,
    before,
    confirm: async () => {
      await confirm();
      if ((await said()).find((each) => !isTentative(each))?.change === "delete")
        throw leaseLost(object, "another try, which was too late, has deleted it meanwhile");
    },
  });
}

/**
 * Seals a point once: the second time answers with what was sealed. BACKUP_UNKNOWN where a backup of it is not there,
 * BASE_GONE where one is about to be deleted, LOG_GAP where the log that it rests on is not held as a whole. A seal that was asleep for longer than half its lease answers LEASE_LOST, and
 * what it sealed all the same is deleted again, unless another try has answered for it meanwhile.
 */
export async function sealPoint(context: RepositoryContext, point: Point): Promise<Point> {
  const object = objectName("points", point.pointId);
  const before = await findPoint(context, point.pointId);
  // An earlier try was too late. What it sealed counts if nothing of it is missing.
  if (before !== undefined && deletionOf(await context.changes.newest(), point.pointId)?.by === SEAL) {
    await undeletePoint(context, point.pointId, { by: SEAL });
    return before;
  }
  const sealing = before ?? point;
  const { signal, fail } = stoppable(undefined);
  const backupIds = [...new Set(sealing.sources.flatMap(({ backups }) => backups))];
  const opened = await Promise.all(
    backupIds.map(async (backupId) => ({ backupId, ...(await openManifest(context, backupId)) })),
  );
  const generation = oldestGeneration(opened);
  await using writing = await beginWriting(context, {
    signal,
    fail,
    ...(generation === undefined ? {} : { generation }),
  });
  if (before === undefined) await assertYoungOrSealed(context, point, backupIds);
  await leanOnBackups(context, writing, opened, WHAT, signal);
  // Read under the lease: what is condemned from now on is looked at once more before it goes, and the point is a root then.
  for (const rest of restsOf(sealing)) servePoint(await context.logs.read(context, rest, signal), rest);
  const manifests = opened.map(({ backupId, sha256 }) => ({ backupId, sha256 }));
  const isOurs = before === undefined && (await putDocument(context, "points", point.pointId, { point, manifests }));
  try {
    await writing.confirm();
  } catch (error) {
    // Nobody was told that it is sealed, and nobody may take it for sealed.
    if (isOurs) await sayNotSealed(context.changes, { object, by: SEAL, reason: "it was sealed too late" });
    throw error;
  }
  if (isOurs) return point;
  await answerFor(context, point.pointId, () => writing.confirm());
  const other = before ?? (await findPoint(context, point.pointId));
  if (other !== undefined) return other;
  throw new StillpointError("OBJECT_MISSING", {
    what: WHAT,
    where: object,
    why: "the object store says that it is there, and does not give it",
  });
}
