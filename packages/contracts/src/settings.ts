import { z } from "zod";
import { Secret } from "./secret.ts";

/** A secret among the settings: never printed, and read from a file where `<NAME>_FILE` is set instead of `<NAME>`. */
export function secretSetting() {
  return z
    .string()
    .min(1)
    .transform((value) => new Secret(value));
}

/** Whole numbers arrive as text. */
export function integerSetting(range: { min: number; max?: number }) {
  return z.coerce
    .number()
    .int()
    .min(range.min)
    .max(range.max ?? Number.MAX_SAFE_INTEGER);
}

/** What every process of an installation is told by its environment; each service adds its own. */
export const installationSettings = z.object({
  /** One URL, or several of a cluster with commas between them. */
  STILLPOINT_NATS_URL: z
    .string()
    .default("nats://127.0.0.1:4222")
    .transform((text) => text.split(",").map((url) => url.trim()))
    .pipe(z.array(z.string().regex(/^(nats|tls):\/\/[^@]+$/, "must be nats://host:port, without credentials")).min(1)),
  /** At most one of these three. */
  STILLPOINT_NATS_TOKEN: secretSetting().optional(),
  /** The seed of a user's nkey: SU… */
  STILLPOINT_NATS_NKEY: secretSetting().optional(),
  /** The content of a .creds file; mostly given as STILLPOINT_NATS_CREDS_FILE. */
  STILLPOINT_NATS_CREDS: secretSetting().optional(),
  /** Servers of the cluster that each hold streams and buckets: 1, or 3 where there are three. */
  STILLPOINT_NATS_REPLICAS: integerSetting({ min: 1, max: 5 }).default(1),
  /**
   * A process that is silent for this long has crashed: its leases run out and its work goes to another. The same in
   * every process of an installation.
   */
  STILLPOINT_LEASE_TTL_MS: integerSetting({ min: 1_000 }).default(30_000),
  STILLPOINT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  /** How far this process gives way to others of its machine, as nice(1) has it. */
  STILLPOINT_NICE: integerSetting({ min: 0, max: 19 }).default(0),
  /** For /live, /ready and /metrics; 0: none. */
  STILLPOINT_HEALTH_PORT: integerSetting({ min: 0, max: 65_535 }).default(0),
  STILLPOINT_HEALTH_HOST: z.string().default("127.0.0.1"),
  /** From the signal to the end; must be shorter than what the container's or unit's stop allows. */
  STILLPOINT_STOP_WITHIN_MS: integerSetting({ min: 100 }).default(25_000),
  /** Set by `stillpoint up` for the processes that it starts: they end when it is gone. */
  STILLPOINT_PARENT_PID: integerSetting({ min: 1 }).optional(),
});
export type InstallationSettings = z.infer<typeof installationSettings>;
