import { integerSetting } from "@stillpoint/contracts/settings";
import { z } from "zod";

export const vaultConfig = z
  .object({
    /** The repository's one target: a directory, or `s3://bucket/prefix?endpoint=…&region=…`; or this or a targets file. */
    STILLPOINT_REPOSITORY: z.string().min(1).optional(),
    /** The repository's primary target and its replicas (docs/guide/targets.md). */
    STILLPOINT_TARGETS_FILE: z.string().min(1).optional(),
    /** What opens the repository, one of three: a file, mode 0600, with a passphrase or an age identity; */
    STILLPOINT_KEY_FILE: z.string().min(1).optional(),
    /** a key of AWS KMS, by ARN, id or alias; */
    STILLPOINT_KMS_KEY: z.string().min(1).optional(),
    /** a key of Vault's transit engine; STILLPOINT_TRANSIT_URL and its neighbours say where that is. */
    STILLPOINT_TRANSIT_KEY: z.string().min(1).optional(),
    /** `remind`: no key is replaced by itself. */
    STILLPOINT_KEY_ROTATION: z.enum(["auto", "remind"]).default("auto"),
    STILLPOINT_KEY_ROTATION_DAYS: z.coerce.number().int().min(1).max(3_650).default(90),
    STILLPOINT_VAULT_HOST: z.string().default("127.0.0.1"),
    STILLPOINT_VAULT_PORT: z.coerce.number().int().min(0).max(65_535).default(7410),
    /** What agents reach this vault by, where it differs from host and port. */
    STILLPOINT_VAULT_URL: z.url().optional(),
    /** For the results of rehearsals, until their proof is sealed, and for the chunk index, which may be lost. */
    STILLPOINT_VAULT_DIRECTORY: z.string().min(1),
    /** Memory of the chunk index, whatever the size of the repository. */
    STILLPOINT_INDEX_CACHE_MIB: z.coerce.number().int().min(1).max(4_096).default(64),
    /** A ticket is asked for anew by each step, and only its begin is checked. */
    STILLPOINT_TICKET_MS: z.coerce.number().int().positive().default(3_600_000),
    /** Between two looks at what a replica lacks; what this vault writes itself is copied at once. */
    STILLPOINT_REPLICATE_EVERY_MS: integerSetting({ min: 100 }).default(30_000),
    /** A replica that lacks something for longer is told of. */
    STILLPOINT_REPLICA_LAG_LIMIT_MS: integerSetting({ min: 1_000 }).default(3_600_000),
    /** What one scrub may read; an hour's of these goes through 10 TB in some hundred days. */
    STILLPOINT_SCRUB_BYTES: integerSetting({ min: 1 }).default(4_294_967_296),
    /** And how long it may take. */
    STILLPOINT_SCRUB_MS: integerSetting({ min: 1 }).default(600_000),
    /** No faster than this, for backups and restores use the same line. */
    STILLPOINT_SCRUB_BYTES_PER_SECOND: integerSetting({ min: 1 }).default(33_554_432),
  })
  .refine((config) => (config.STILLPOINT_REPOSITORY === undefined) !== (config.STILLPOINT_TARGETS_FILE === undefined), {
    path: ["STILLPOINT_REPOSITORY"],
    message: "one of STILLPOINT_REPOSITORY and STILLPOINT_TARGETS_FILE, and not both",
  })
  .refine(
    ({ STILLPOINT_KEY_FILE: file, STILLPOINT_KMS_KEY: kms, STILLPOINT_TRANSIT_KEY: transit }) =>
      [file, kms, transit].filter((each) => each !== undefined).length === 1,
    {
      path: ["STILLPOINT_KEY_FILE"],
      message: "one of STILLPOINT_KEY_FILE, STILLPOINT_KMS_KEY and STILLPOINT_TRANSIT_KEY, and no more",
    },
  );
export type VaultConfig = z.infer<typeof vaultConfig>;
