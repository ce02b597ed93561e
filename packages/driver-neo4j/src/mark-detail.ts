import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { z } from "zod";

const count = z.number().int().nonnegative();

/** One database of the server, as far as a physical restore goes. */
export const storeMark = z.object({
  database: z.string(),
  /** The last transaction that is restored; its commit ends at `offset` of the log file `logVersion`. */
  txId: count,
  logVersion: count,
  offset: count,
  /** The first log file that recovery needs. */
  firstLogVersion: count,
  /** The last transaction when the copy of the store ended: an earlier one is no safe target. */
  floor: count,
  /** Where recovery begins. */
  checkpoint: z.object({ txId: count, logVersion: count, offset: count }),
  /** The base's own; a newer one with the base's older files would be silent corruption. */
  checkpointFiles: z.array(z.object({ name: z.string(), size: count })),
});
export type StoreMark = z.infer<typeof storeMark>;

export const physicalDetail = storeMark.extend({
  format: z.literal("physical"),
  /** What `SHOW DATABASES` calls databaseID: it goes with the store's files. */
  databaseId: z.string(),
  system: storeMark,
});

export const logicalDetail = z.object({
  format: z.literal("logical"),
  database: z.string(),
  databaseId: z.string(),
  /** The last transaction before the export began; later ones may be in it, in part. */
  txId: count,
});

/** Files of `neo4j-admin database backup`, restored up to these transactions. */
export const enterpriseDetail = z.object({
  format: z.literal("enterprise"),
  /** The first of them, and its id. */
  database: z.string(),
  databaseId: z.string(),
  databases: z.array(z.object({ database: z.string(), txId: count })).min(1),
});

export const markDetail = z.discriminatedUnion("format", [physicalDetail, logicalDetail, enterpriseDetail]);
export type EnterpriseDetail = z.infer<typeof enterpriseDetail>;
export type PhysicalDetail = z.infer<typeof physicalDetail>;
export type LogicalDetail = z.infer<typeof logicalDetail>;
export type MarkDetail = z.infer<typeof markDetail>;

export function detailOf(mark: Mark): MarkDetail {
  const parsed = markDetail.safeParse(mark.detail);
  if (parsed.success) return parsed.data;
  throw new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read a Neo4j source's mark",
    where: mark.cutId,
    why: z.prettifyError(parsed.error),
    hint: "it was made by another version of this program, or it is not a mark of Neo4j",
  });
}
