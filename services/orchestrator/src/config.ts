import { z } from "zod";

export const orchestratorConfig = z.object({
  /** Runs that one process drives at once; each costs memory only. */
  STILLPOINT_RUNS_AT_ONCE: z.coerce.number().int().positive().default(50),
  /** How long a source may take to be opened by an agent, from the command on. */
  STILLPOINT_OPEN_TIMEOUT_MS: z.coerce.number().int().positive().default(60_000),
  /** A step that reports no progress for this long is given up. */
  STILLPOINT_SILENCE_MS: z.coerce.number().int().positive().default(300_000),
  /** How often a working step is asked again. */
  STILLPOINT_POLL_MS: z.coerce.number().int().positive().default(200),
});
export type OrchestratorConfig = z.infer<typeof orchestratorConfig>;
