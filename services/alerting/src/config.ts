import { integerSetting } from "@stillpoint/contracts/settings";
import { z } from "zod";

export const alertingConfig = z.object({
  /** How often the outbox is looked through. */
  STILLPOINT_ALERTING_POLL_MS: integerSetting({ min: 10 }).default(500),
  /** How long a channel may take to answer. */
  STILLPOINT_ALERTING_TIMEOUT_MS: integerSetting({ min: 10 }).default(10_000),
  /** After a failure, then twice as long each time, up to ten minutes. */
  STILLPOINT_ALERTING_RETRY_MS: integerSetting({ min: 1 }).default(2_000),
});
export type AlertingConfig = z.infer<typeof alertingConfig>;
