import { StillpointError } from "@stillpoint/contracts/errors";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { GARBAGE_SETTINGS } from "@stillpoint/repository/garbage/settings";
import type { Task } from "./task.ts";

/** Deletes what was condemned long enough ago, and condemns what nothing needs any more. */
export const gcTask: Task = async ({ repository, bus }, signal) => {
  const plans = await (await bus.bucket(BUCKETS.plans)).entries();
  // Names of sources are unique within a plan only: the log of all is kept as long as that of the one that asks for most.
  const keepLogMs = Math.max(GARBAGE_SETTINGS.keepLogMs, ...plans.map(({ value }) => value.definition.keep.log));
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
