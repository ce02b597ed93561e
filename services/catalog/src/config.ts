import { secretSetting } from "@stillpoint/contracts/settings";
import { z } from "zod";

export const catalogConfig = z.object({
  /** A PostgreSQL of the installation: `postgres://user@host:port/database`. Several replicas need it. */
  STILLPOINT_CATALOG_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/[^:@/]*@?[^@]*$/, "must be postgres://user@host:port/database, without the password")
    .optional(),
  STILLPOINT_CATALOG_PASSWORD: secretSetting().optional(),
  /** Without a URL: the directory of an embedded PostgreSQL (PGlite), which this process alone opens. */
  STILLPOINT_CATALOG_DIRECTORY: z.string().min(1).optional(),
});
export type CatalogConfig = z.infer<typeof catalogConfig>;
