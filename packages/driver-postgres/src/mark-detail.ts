import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { z } from "zod";
import { formatLsn, parseLsn } from "./lsn.ts";

/** A WAL position travels as PostgreSQL writes it. */
export const lsnText = z.codec(z.string(), z.bigint(), { decode: parseLsn, encode: formatLsn });
const lsn = lsnText;

/** A target is stopped at before what is named, unless `inclusive`. */
const inclusive = z.boolean().optional();

/** What layout and restore must know of a mark; the `detail` of a PostgreSQL mark. */
export const markDetail = z.object({
  target: z.discriminatedUnion("by", [
    z.object({ by: z.literal("name"), name: z.string() }),
    /** `lsn` itself. Of a point, without the right to create a restore point: the end of a message in the WAL. */
    z.object({ by: z.literal("lsn"), inclusive }),
    /** RFC 3339, UTC; commits are timed in microseconds. */
    z.object({ by: z.literal("time"), at: z.iso.datetime(), inclusive }),
    z.object({ by: z.literal("xid"), xid: z.string().regex(/^\d{1,20}$/), inclusive }),
    /** The end of the log that is there. */
    z.object({ by: z.literal("latest") }),
    /** As soon as the base is one with itself. */
    z.object({ by: z.literal("immediate") }),
  ]),
  /** The end of the record that marks the cut; of a target that is no position, where the base ended. */
  lsn,
  /** That recovery follows, to its end if nothing stops it before. */
  timeline: z.number().int().positive(),
  /** Where the timelines before it were left for the next, as far as the log there is goes over several. */
  ancestry: z.array(z.object({ timeline: z.number().int().positive(), at: lsn })).default([]),
  /** What the server does where recovery stopped. */
  action: z.enum(["promote", "pause", "shutdown"]).default("promote"),
  /** Where the base's replay begins. */
  start: lsn,
  /** The backups hold the WAL up to here. Of a point: it was flushed when the mark was answered. */
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
  /** Beyond the two that every cluster has, and where the source has them. */
  tablespaces: z.array(z.object({ oid: z.string(), name: z.string(), location: z.string() })).default([]),
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
