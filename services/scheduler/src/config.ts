import { maintenanceSchedule } from "@stillpoint/contracts/maintenance";
import { integerSetting } from "@stillpoint/contracts/settings";
import { z } from "zod";

export const schedulerConfig = z.object({
  /** How often the clock is looked at; an instant is published at most this much late. */
  STILLPOINT_SCHEDULER_TICK_MS: integerSetting({ min: 10 }).default(1_000),
  /**
   * What was refused because a run was under way is offered again after this long. Entries that come round sooner are
   * not offered again: their next instant is near.
   */
  STILLPOINT_SCHEDULER_RETRY_MS: integerSetting({ min: 1 }).default(900_000),
  /** How often it is looked whether a source is to be copied anew beside its points. */
  STILLPOINT_SCHEDULER_BASES_MS: integerSetting({ min: 10 }).default(60_000),
  /** When what the repository needs is done, over the defaults: `gc: every 6h; scrub: off`. Times are UTC. */
  STILLPOINT_MAINTENANCE: maintenanceSchedule.prefault(""),
});
export type SchedulerConfig = z.infer<typeof schedulerConfig>;
