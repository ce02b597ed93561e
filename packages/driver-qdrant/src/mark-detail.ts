import { z } from "zod";
import { neighbours } from "./neighbours.ts";

export const payloadIndex = z.object({
  dataType: z.string(),
  params: z.record(z.string(), z.unknown()).exactOptional(),
});

/** What a Qdrant mark holds for the rehearsal that compares a restored server with it. */
export const markDetail = z.object({
  collections: z.record(
    z.string(),
    z.object({
      /** Streams of its shards, or one snapshot of the whole that the server made. */
      by: z.enum(["streams", "snapshot"]),
      shards: z.array(z.number().int().nonnegative()),
      payloadSchema: z.record(z.string(), payloadIndex),
    }),
  ),
  aliases: z.record(z.string(), z.string()),
  neighbours: z.array(neighbours),
  /** How long the wait for optimizations and the opening of the snapshots took. */
  gateMs: z.number(),
  openMs: z.number(),
});
export type MarkDetail = z.infer<typeof markDetail>;
