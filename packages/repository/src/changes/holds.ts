import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import type { z } from "zod";
import { getDocument, listIds, putDocument } from "../documents-store.ts";
import { hold } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import { findPoint } from "../points.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { deletionOf } from "./deletion.ts";
import type { NewestChanges } from "./newest.ts";

export type Hold = z.infer<typeof hold>;
export type NewHold = Pick<Hold, "reason" | "by"> & { until?: string | undefined };

/** Pure: a hold counts until it is released, or its time is over by the storage's clock. */
export function isInForce(each: Hold, newest: NewestChanges, storageNowMs: number): boolean {
  if (newest.of("release", objectName("holds", OBJECT_IDS.hold(each.pointId, each.holdId))) !== undefined) return false;
  return each.until === undefined || Date.parse(each.until) > storageNowMs;
}

/** All holds there are, in force or not, by the point they are on; or those on one point. */
export async function readHolds(
  context: RepositoryContext,
  options: { pointId?: string; signal?: AbortSignal | undefined } = {},
): Promise<Map<string, Hold[]>> {
  const holds = new Map<string, Hold[]>();
  const within = options.pointId === undefined ? "" : `${options.pointId}/`;
  for await (const id of listIds(context, "holds", { within, signal: options.signal })) {
    const found = (await getDocument(context, "holds", id, hold, options.signal))?.document;
    if (found !== undefined) holds.set(found.pointId, [...(holds.get(found.pointId) ?? []), found]);
  }
  return holds;
}

function refused(what: string, pointId: string, why: string, hint?: string): StillpointError {
  return new StillpointError("CONFLICT", { what, where: pointId, why, hint });
}

const WHAT = "Cannot hold a point";

/** From here on no retention and nobody's order deletes the point, until the hold is released or its time is over. */
export async function placeHold(context: RepositoryContext, pointId: string, asked: NewHold): Promise<Hold> {
  if ((await findPoint(context, pointId)) === undefined)
    throw new StillpointError("POINT_UNKNOWN", {
      what: WHAT,
      where: pointId,
      why: "the repository holds no such point",
      hint: "stillpoint points",
    });
  if (deletionOf(await context.changes.newest(), pointId) !== undefined)
    throw refused(WHAT, pointId, "it is deleted", `stillpoint point undelete ${pointId}`);
  if (asked.until !== undefined && Date.parse(asked.until) <= (await context.store.now()))
    throw new StillpointError("INVALID_REQUEST", { what: WHAT, where: asked.until, why: "it would be over already" });
  const placed: Hold = {
    holdId: uuidv7(context.now(), context.random(10)),
    pointId,
    reason: asked.reason,
    by: asked.by,
    ...(asked.until === undefined ? {} : { until: asked.until }),
    placedAt: toInstant(context.now()),
  };
  const id = OBJECT_IDS.hold(pointId, placed.holdId);
  await putDocument(context, "holds", id, placed);
  // Somebody may have deleted it in between. Whoever deletes looks for holds afterwards too: one of the two sees the other.
  if (deletionOf(await context.changes.newest(), pointId) !== undefined) {
    await context.changes.append({
      change: "release",
      object: objectName("holds", id),
      by: asked.by,
      detail: { reason: "the point was deleted while the hold was placed" },
    });
    throw refused(WHAT, pointId, "it was deleted meanwhile", `stillpoint point undelete ${pointId}`);
  }
  return placed;
}

/** Released once; the second time changes nothing. */
export async function releaseHold(
  context: RepositoryContext,
  pointId: string,
  holdId: string,
  { by, reason }: { by: string; reason?: string | undefined },
): Promise<void> {
  const id = OBJECT_IDS.hold(pointId, holdId);
  const object = objectName("holds", id);
  if ((await getDocument(context, "holds", id, hold)) === undefined)
    throw new StillpointError("NOT_FOUND", { what: "Cannot release a hold", where: object, why: "there is none" });
  if ((await context.changes.newest()).of("release", object) !== undefined) return;
  await context.changes.append({ change: "release", object, by, detail: reason === undefined ? {} : { reason } });
}
