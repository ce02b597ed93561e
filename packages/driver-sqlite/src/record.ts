import { z } from "zod";

/** In the tree beside the databases: what each must show when it is opened. */
export const RECORD_PATH = ".stillpoint/sqlite.json";

export const record = z.object({
  databases: z.array(
    z.object({
      name: z.string(),
      mode: z.enum(["wal", "rollback"]),
      /** Frames of the log that are replayed on it. */
      frames: z.number().int().nonnegative(),
      /** Rows by table, counted in the source at the mark, or in the copy where the source cannot be asked. */
      counts: z.record(z.string(), z.number().int().nonnegative()).optional(),
      /** Where the rows were counted. */
      countedIn: z.enum(["source", "copy"]).optional(),
    }),
  ),
});
export type SqliteRecord = z.infer<typeof record>;
export type DatabaseRecord = SqliteRecord["databases"][number];
