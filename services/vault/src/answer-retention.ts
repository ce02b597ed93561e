import { StillpointError } from "@stillpoint/contracts/errors";
import type { Plan } from "@stillpoint/contracts/plan";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultApplyRetention, vaultPlanRetention } from "@stillpoint/contracts/vault";
import { planRetention } from "@stillpoint/repository/retention/retention-plan";
import { policyOf } from "@stillpoint/retention/policy";
import { applyAndTell } from "./maintenance/retain-task.ts";
import type { TaskContext } from "./maintenance/task.ts";

/** A message holds a megabyte; a point with its reasons takes some hundred bytes. */
const MOST_GO = 1_000;
const MOST_KEPT = 1_000;

/** A person looks at what retention would do, and has it done. */
export async function answerRetention(
  context: Pick<TaskContext, "repository" | "bus" | "clock">,
  queue: { queue: string },
  resources: AsyncDisposableStack,
): Promise<void> {
  const { bus, repository } = context;
  const plans = await bus.bucket(BUCKETS.plans);
  const inForce = async (plan: string): Promise<Plan> => {
    const found = await plans.get(plan);
    if (found !== undefined) return found.value.definition;
    throw new StillpointError("PLAN_UNKNOWN", { what: "Cannot look at its retention", where: plan });
  };
  resources.use(
    await bus.answer(vaultPlanRetention, queue, async ({ body: { plan } }) => {
      const { keep, timeZone } = await inForce(plan);
      const made = await planRetention(repository, plan, policyOf(keep, timeZone));
      return {
        ...made,
        // The oldest first to go: a plan that is applied in parts leaves no hole.
        go: made.go.slice(-MOST_GO),
        keep: made.keep.slice(0, MOST_KEPT),
        goCount: made.go.length,
        keepCount: made.keep.length,
        freed: made.freed.length,
        stillNeeded: made.stillNeeded.length,
      };
    }),
  );
  resources.use(
    await bus.answer(vaultApplyRetention, queue, async ({ body: { plan, policySha256, go, by } }) => {
      const asked = { plan, policySha256, go: go.map(({ pointId }) => ({ pointId, reasons: [] })) };
      return { deleted: await applyAndTell(context, asked, await inForce(plan), by) };
    }),
  );
}
