import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { instant, name, sha256, toInstant, uuid } from "@stillpoint/contracts/names";
import type { Policy } from "@stillpoint/retention/policy";
import type { Retention } from "@stillpoint/retention/retention-point";
import { z } from "zod";
import { judgePlan, type RetentionRepository } from "./retention-state.ts";

const judged = z.object({
  pointId: uuid,
  cutAt: instant,
  partial: z.boolean(),
  reasons: z.array(z.object({ code: z.string(), text: z.string() })),
});

/** What retention would do to one plan's points, as a document: to be looked at, and then applied. */
export const retentionPlan = z.object({
  plan: name,
  /** As people know it. */
  policy: z.string(),
  /** SHA-256 of the policy: it is not applied under another one. */
  policySha256: sha256,
  madeAt: instant,
  /** Newest first. */
  go: z.array(judged),
  keep: z.array(judged),
  freed: z.array(z.string()),
  stillNeeded: z.array(z.object({ backupId: z.string(), by: z.string() })),
});
export type RetentionPlan = z.infer<typeof retentionPlan>;

export function policyDigest(policy: Policy): string {
  return createHash("sha256").update(JSON.stringify(policy)).digest("hex");
}

function toPlan(plan: string, policy: Policy, madeMs: number, retention: Retention): RetentionPlan {
  const of = (keep: boolean) =>
    retention.points
      .filter((each) => each.keep === keep)
      .map(({ point: { pointId, cutMs, partial }, reasons }) => ({
        pointId,
        cutAt: toInstant(cutMs),
        partial,
        reasons: [...reasons],
      }));
  return {
    plan,
    policy: policy.name,
    policySha256: policyDigest(policy),
    madeAt: toInstant(madeMs),
    go: of(false),
    keep: of(true),
    freed: [...retention.freed],
    stillNeeded: [...retention.stillNeeded],
  };
}

export async function planRetention(
  repository: RetentionRepository,
  plan: string,
  policy: Policy,
  signal?: AbortSignal,
): Promise<RetentionPlan> {
  const retention = await judgePlan(repository, plan, policy, signal);
  return toPlan(plan, policy, await repository.storageNow(signal), retention);
}

function refused(where: string, why: string): StillpointError {
  return new StillpointError("CONFLICT", {
    what: "Did not apply the retention plan: it no longer holds, and nothing was deleted",
    where,
    why,
    hint: "make a new one and look at it: stillpoint retention plan",
  });
}

export type Applied = { deleted: string[] /** Of the plan's, by an earlier application. */; before: string[] };

/**
 * Deletes what the plan lets go, once everything in it still holds: the same policy, and each point that goes would go by
 * what is there now. Nothing is deleted otherwise. What the plan names and is deleted already, it was applied to before.
 * The points can be undeleted until the collector's grace is over.
 */
export async function applyRetention(
  repository: RetentionRepository,
  { plan, policySha256, go }: Pick<RetentionPlan, "plan" | "policySha256"> & { go: readonly { pointId: string }[] },
  policy: Policy,
  { by, signal }: { by: string; signal?: AbortSignal | undefined },
): Promise<Applied> {
  if (policyDigest(policy) !== policySha256) throw refused(plan, "the plan's keep: has changed since");
  const { points, deleted: deletedBefore } = await judgePlan(repository, plan, policy, signal);
  const now = new Map(points.map((each) => [each.point.pointId, each]));
  const wanted = go.map(({ pointId }) => pointId);
  for (const pointId of wanted) {
    const found = now.get(pointId);
    if (found?.keep) throw refused(pointId, `it stays now: ${found.reasons.map(({ text }) => text).join("; ")}`);
    if (found === undefined && !deletedBefore.has(pointId))
      throw refused(pointId, "there is no such point in this plan");
  }
  const deleted: string[] = [];
  // The oldest first: broken off in the middle, what is left is a history without a hole.
  for (const pointId of wanted.filter((each) => now.has(each)).reverse()) {
    signal?.throwIfAborted();
    const reason = now
      .get(pointId)
      ?.reasons.map(({ text }) => text)
      .join("; ");
    await repository.deletePoint(pointId, { by, reason });
    deleted.push(pointId);
  }
  return { deleted, before: wanted.filter((each) => deletedBefore.has(each)) };
}
