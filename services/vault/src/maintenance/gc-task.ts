import { StillpointError } from "@stillpoint/contracts/errors";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { GARBAGE_SETTINGS } from "@stillpoint/repository/garbage/settings";
import type { Task } from "./task.ts";

/** Deletes what was condemned long enough ago, and condemns what nothing needs any more. */
export const gcTask: Task = async ({ repository, bus }, signal) => {
  const plans = await (await bus.bucket(BUCKETS.plans)).entries();
  const known = new Map(plans.map(({ value }) => [value.plan, value.definition.keep.log]));
  // As with points: what belongs to a plan that is in force no more stays, somebody may want it yet.
  const keepLogMs = (plan: string) => known.get(plan) ?? GARBAGE_SETTINGS.keepLogMs(plan);
  try {
    const { freed, condemned, rewritten, retained, waitsFor } = await repository.collectGarbage({
      settings: { keepLogMs },
      signal,
    });
    const left = retained.length === 0 ? "" : `, ${retained.length} objects are retained by the target`;
    const waits = waitsFor.length === 0 ? "" : `, what is due waits for ${waitsFor.join(", ")}`;
    return {
      summary: `${freed.objects} objects freed, ${condemned.objects} condemned${left}${waits}`,
      figures: {
        freedObjects: freed.objects,
        freedBytes: freed.bytes,
        condemnedObjects: condemned.objects,
        condemnedBytes: condemned.bytes,
        rewrittenPacks: rewritten.packs,
        retainedObjects: retained.length,
      },
      problems: [],
    };
  } catch (error) {
    if (!(error instanceof StillpointError) || error.code !== "ALREADY_RUNNING") throw error;
    return { summary: `nothing done: ${error.why}`, figures: {}, problems: [] };
  }
};
