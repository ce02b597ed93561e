import { z } from "zod";

/** One step of a measurement with a large index, for a process of its own. */
export const indexJob = z.object({
  action: z.enum(["fill", "open", "look up", "backup", "collect"]),
  url: z.string(),
  /** Where the chunk index lies. */
  directory: z.string(),
  chunks: z.number().int(),
  kind: z.enum(["small", "merged"]),
});
export type IndexJob = z.infer<typeof indexJob>;

export const indexMeasures = z.object({
  ms: z.number(),
  peakRssMiB: z.number(),
  /** Index objects that were written, chunks that were found, looked up or backed up, objects that were condemned, as the action says. */
  count: z.number(),
  absentPerSecond: z.number().optional(),
  presentPerSecond: z.number().optional(),
});
export type IndexMeasures = z.infer<typeof indexMeasures>;
