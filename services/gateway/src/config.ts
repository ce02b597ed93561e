import { integerSetting } from "@stillpoint/contracts/settings";
import { z } from "zod";

export const gatewayConfig = z.object({
  /** The plans in YAML. Without it, those that were accepted before stay in force. */
  STILLPOINT_PLAN_FILE: z.string().min(1).optional(),
  /** How often the plan file is looked at; a poll sees every kind of mount, which notifications do not. */
  STILLPOINT_PLAN_POLL_MS: integerSetting({ min: 10 }).default(1_000),
  /** Without a login of its own, REST is for this machine alone unless this says otherwise. */
  STILLPOINT_GATEWAY_HOST: z.string().min(1).default("127.0.0.1"),
  STILLPOINT_GATEWAY_PORT: integerSetting({ min: 0, max: 65_535 }).default(7400),
});
export type GatewayConfig = z.infer<typeof gatewayConfig>;
