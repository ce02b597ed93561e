import { z } from "zod";

const salts = z.tuple([z.number().int(), z.number().int()]);

/** What a mark of this kind holds: each database's own position. */
export const markDetail = z.object({
  databases: z.array(
    z.discriminatedUnion("mode", [
      z.object({
        mode: z.literal("wal"),
        name: z.string(),
        /** The log's salts and its last valid commit frame. */
        salts,
        frame: z.number().int().nonnegative(),
        /** Frames since the base, over all restarts of the log. */
        frames: z.number().int().nonnegative(),
      }),
      z.object({ mode: z.literal("rollback"), name: z.string(), counter: z.number().int().nonnegative() }),
    ]),
  ),
});
export type MarkDetail = z.infer<typeof markDetail>;
export type DatabaseMark = MarkDetail["databases"][number];
