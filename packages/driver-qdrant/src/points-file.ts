import { z } from "zod";
import { payloadIndex } from "./mark-detail.ts";

/** Grows with the meaning of the lines. */
export const FORMAT = 1;

/**
 * A file of collections, as lines of JSON, each a whole document: a header, each collection with its points behind it, the
 * aliases, and last the counts, without which it was cut off. Any version of the server can take it.
 */
export const pointsHeader = z.object({
  vectors: z.number(),
  server: z.string(),
  /** Read page by page while the server may be written: not at one moment. */
  consistency: z.literal("fuzzy"),
});
export const collectionLine = z.object({
  collection: z.object({
    name: z.string().min(1),
    config: z.record(z.string(), z.unknown()),
    payloadSchema: z.record(z.string(), payloadIndex),
  }),
});
export type CollectionLine = z.infer<typeof collectionLine>["collection"];
/** A point as the server answers and takes it; what is in it is the server's affair. */
export const pointLine = z.object({ point: z.looseObject({ id: z.unknown() }) });
export const aliasesLine = z.object({ aliases: z.record(z.string(), z.string()) });
export const endLine = z.object({ end: z.record(z.string(), z.number().int().nonnegative()) });

export const POINT_PREFIX = '{"point":';
