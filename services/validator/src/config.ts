import { z } from "zod";

export const validatorConfig = z.object({
  /** A proof that is not in by then is inconclusive. */
  STILLPOINT_PROOF_TIMEOUT_MS: z.coerce.number().int().positive().default(600_000),
  /** Points proven at once by one process; the servers run at the agents. */
  STILLPOINT_PROOFS_AT_ONCE: z.coerce.number().int().positive().default(2),
  /** Addresses outside of the plan that the egress probe tries too. */
  STILLPOINT_EGRESS_PROBES: z
    .string()
    .default("dns:example.com,192.0.2.1:443")
    .transform((text) => text.split(",").filter((each) => each !== "")),
});
export type ValidatorConfig = z.infer<typeof validatorConfig>;
