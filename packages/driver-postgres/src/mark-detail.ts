import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { z } from "zod";
import { formatLsn, parseLsn } from "./lsn.ts";

/** A WAL position travels as PostgreSQL writes it. */
const lsn = z.codec(z.string(), z.bigint(), { decode: parseLsn, encode: formatLsn });

/** What layout and restore must know of a mark; the `detail` of a PostgreSQL mark. */
export const markDetail = z.object({
  target: z.discriminatedUnion("by", [
    z.object({ by: z.literal("name"), name: z.string() }),
    /** Without the right to create a restore point: the end of a message in the WAL. */
    z.object({ by: z.literal("lsn") }),
  ]),
  /** The end of the record that marks the cut. */
  lsn,
  timeline: z.number().int().positive(),
  /** Where the base's replay begins. */
  start: lsn,
  /** WAL up to here was flushed when the mark was answered; the backups hold it. */
  until: lsn,
  segmentBytes: z.number().int().positive(),
  /** That the source's url names: where locators look. */
  database: z.string(),
  /** The role that initdb made: it exists in every cluster, and the sandbox is asked as it. */
  bootstrapUser: z.string(),
  /** Settings that a restored server needs at least as large as the source had them. */
  settings: z.record(z.string(), z.string()),
  /** Libraries that the data needs loaded at the start. */
  preload: z.array(z.string()),
});
export type MarkDetail = z.infer<typeof markDetail>;

/** Reads the detail of a sealed mark. */
export function parseMarkDetail(mark: Mark): MarkDetail {
  const parsed = markDetail.safeParse(mark.detail);
  if (parsed.success) return parsed.data;
  throw new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read a PostgreSQL mark",
    where: mark.position,
    why: z.prettifyError(parsed.error),
  });
}
