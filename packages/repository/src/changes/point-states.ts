import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import { objectName } from "../format/kinds.ts";
import { findPoint, type ListOptions, listSealedPoints } from "../points.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type Deletion, deletionOf } from "./deletion.ts";
import { type Hold, isInForce, readHolds } from "./holds.ts";
import type { NewestChanges } from "./newest.ts";
import { type OwnRetention, ownRetentionOf } from "./own-retention.ts";

/** A point with what was said of it since it was sealed. `holds`: those in force. */
export type PointState = {
  point: Point;
  deletion: Deletion | undefined;
  holds: Hold[];
  /** When it goes by its own retention, in epoch milliseconds; absent: the plan's counts. */
  expires: OwnRetention | undefined;
};

/** All points that are there, also those that were deleted and not swept yet; in the order of ids. */
export async function* pointStates(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<PointState> {
  const newest = await context.changes.newest(options.signal);
  const holds = await readHolds(context, { signal: options.signal });
  const nowMs = await context.store.now(options.signal);
  for await (const point of listSealedPoints(context, options))
    yield {
      point,
      deletion: deletionOf(newest, point.pointId),
      expires: ownRetentionOf(newest, point.pointId),
      holds: (holds.get(point.pointId) ?? []).filter((each) => isInForce(each, newest, nowMs)),
    };
}

/** The holds on a point that are in force. */
export async function holdsOn(context: RepositoryContext, pointId: string, newest?: NewestChanges): Promise<Hold[]> {
  const changes = newest ?? (await context.changes.newest());
  const nowMs = await context.store.now();
  const holds = (await readHolds(context, { pointId })).get(pointId) ?? [];
  return holds.filter((each) => isInForce(each, changes, nowMs));
}

/**
 * Says that a point is deleted. Nothing is gone yet: its time for an undelete begins. Deleting what is deleted already
 * changes nothing. POINT_UNKNOWN where there is none, CONFLICT where a hold is on it.
 */
export async function deletePoint(
  context: RepositoryContext,
  pointId: string,
  { by, reason }: { by: string; reason?: string | undefined },
): Promise<void> {
  const what = "Cannot delete a point";
  if ((await findPoint(context, pointId)) === undefined)
    throw new StillpointError("POINT_UNKNOWN", { what, where: pointId, why: "the repository holds no such point" });
  const newest = await context.changes.newest();
  if (deletionOf(newest, pointId) !== undefined) return;
  const held = (pin: Hold) =>
    new StillpointError("CONFLICT", {
      what,
      where: pointId,
      why: `a hold is on it: ${pin.reason}`,
      hint: `stillpoint point release ${pointId} ${pin.holdId}`,
    });
  const [before] = await holdsOn(context, pointId, newest);
  if (before !== undefined) throw held(before);
  const object = objectName("points", pointId);
  await context.changes.append({ change: "delete", object, by, detail: reason === undefined ? {} : { reason } });
  // A hold that was placed in between counts: whoever placed it may have been told so.
  const [since] = await holdsOn(context, pointId);
  if (since === undefined) return;
  await context.changes.append({ change: "undelete", object, by, detail: { reason: "a hold was placed meanwhile" } });
  throw held(since);
}
