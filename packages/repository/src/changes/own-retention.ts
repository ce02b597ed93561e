import { StillpointError } from "@stillpoint/contracts/errors";
import { ownRetention } from "@stillpoint/contracts/keep";
import { objectName } from "../format/kinds.ts";
import { findPoint } from "../points.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { deletionOf } from "./deletion.ts";
import type { NewestChanges } from "./newest.ts";

export type OwnRetention = number | "never";

/** Pure: what was last said of how long the point itself stays. Undefined: its plan's retention counts. */
export function ownRetentionOf(newest: NewestChanges, pointId: string): OwnRetention | undefined {
  const parsed = ownRetention.safeParse(newest.of("keep", objectName("points", pointId))?.detail.until);
  if (!parsed.success) return undefined;
  return parsed.data === "never" ? "never" : Date.parse(parsed.data);
}

/** `until`: an instant, `never` (it never goes), or `plan` (its plan's retention counts again). */
export async function keepPoint(
  context: RepositoryContext,
  pointId: string,
  until: string,
  { by, reason }: { by: string; reason?: string | undefined },
): Promise<void> {
  const what = "Cannot give a point a retention of its own";
  if (until !== "plan" && !ownRetention.safeParse(until).success)
    throw new StillpointError("INVALID_REQUEST", {
      what,
      where: until,
      why: "it is neither an instant such as 2027-01-31T00:00:00.000Z, nor `never`, nor `plan`",
    });
  if ((await findPoint(context, pointId)) === undefined)
    throw new StillpointError("POINT_UNKNOWN", { what, where: pointId, why: "the repository holds no such point" });
  if (deletionOf(await context.changes.newest(), pointId) !== undefined)
    throw new StillpointError("CONFLICT", { what, where: pointId, why: "it is deleted" });
  await context.changes.append({
    change: "keep",
    object: objectName("points", pointId),
    by,
    detail: { until, ...(reason === undefined ? {} : { reason }) },
  });
}
