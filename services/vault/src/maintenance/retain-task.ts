import { pointDeleted } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import type { Plan } from "@stillpoint/contracts/plan";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { applyRetention, planRetention, type RetentionPlan } from "@stillpoint/repository/retention/retention-plan";
import { policyOf } from "@stillpoint/retention/policy";
import type { Task, TaskContext } from "./task.ts";

const BY = "retention";

/** Deletes what the plan lets go, if it still holds, and tells of each point. */
export async function applyAndTell(
  { repository, bus, clock }: Pick<TaskContext, "repository" | "bus" | "clock">,
  retention: Pick<RetentionPlan, "plan" | "policySha256"> & {
    go: readonly { pointId: string; reasons: { text: string }[] }[];
  },
  definition: Plan,
  by: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const policy = policyOf(definition.keep, definition.timeZone);
  const { deleted, before } = await applyRetention(repository, retention, policy, { by, signal });
  const reasons = new Map(retention.go.map(({ pointId, reasons }) => [pointId, reasons.map(({ text }) => text)]));
  // What was deleted before is told again: its event may have been lost with the process that was to send it.
  for (const pointId of [...before, ...deleted]) {
    const told = { pointId, plan: retention.plan, by, reasons: reasons.get(pointId) ?? [], at: toInstant(clock.now()) };
    await bus.publishEvent(pointDeleted, { pointId }, told, { key: `${pointId}-deleted` });
  }
  return deleted;
}

/** Each plan's retention, as it is in force now. Points of plans that are gone stay: somebody may want them yet. */
export const retainTask: Task = async (context, signal) => {
  const { repository, bus } = context;
  const plans = await (await bus.bucket(BUCKETS.plans)).entries();
  const figures = { plans: plans.length, kept: 0, deleted: 0, withoutPlan: 0 };
  for (const { value } of plans) {
    const { plan, definition } = value;
    const retention = await planRetention(repository, plan, policyOf(definition.keep, definition.timeZone), signal);
    const deleted = await applyAndTell(context, retention, definition, BY, signal);
    figures.kept += retention.keep.length;
    figures.deleted += deleted.length;
  }
  const known = new Set(plans.map(({ value }) => value.plan));
  for await (const { plan } of repository.points({ signal })) if (!known.has(plan)) figures.withoutPlan++;
  const without = figures.withoutPlan === 0 ? "" : `, ${figures.withoutPlan} of plans that are in force no more`;
  const summary = `${figures.deleted} points deleted, ${figures.kept} kept, ${figures.plans} plans${without}`;
  return { summary, figures, problems: [] };
};
