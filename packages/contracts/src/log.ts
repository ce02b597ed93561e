import { createHash } from "node:crypto";
import { z } from "zod";
import { instant, name, sourceKind, uuidv8 } from "./names.ts";

/** Positions of one stream are of one length, so that they sort as they follow one another. */
const place = z.string().regex(/^[A-Za-z0-9]{1,40}$/, "must be 1–40 of A-Z, a-z and 0-9");

/** A place in a source's log. `stream` is what positions are counted in: a timeline, a chain of log files, a pair of salts. */
export const logPosition = z.object({ stream: place, at: place });
export type LogPosition = z.infer<typeof logPosition>;

/**
 * A stretch of a source's log. Of a log: its first byte, and the first one that it does not hold. Of a full: where its replay
 * begins, and from where on its source is whole.
 */
export const logRange = z.object({
  stream: place,
  from: place,
  to: place,
  /** Where an earlier stream was left for this one, which begins here: a timeline's parent. */
  after: logPosition.optional(),
});
export type LogRange = z.infer<typeof logRange>;

/**
 * How far a log is followed at a restore. `time`: all that was committed up to it, and nothing after it; unless `inclusive` is
 * false, also at it. `position`, `name` and `transaction` are the store's own words: an LSN, a restore point, a transaction's id;
 * `inclusive`: what they name is there too. `immediate`: no further than the base needs to be whole.
 */
export const logTarget = z.discriminatedUnion("by", [
  z.object({ by: z.literal("latest") }),
  z.object({ by: z.literal("immediate") }),
  z.object({ by: z.literal("time"), at: z.iso.datetime(), inclusive: z.boolean().optional() }),
  z.object({ by: z.literal("position"), at: z.string(), inclusive: z.boolean() }),
  z.object({ by: z.literal("transaction"), id: z.string(), inclusive: z.boolean() }),
  z.object({ by: z.literal("name"), name: z.string() }),
]);
export type LogTarget = z.infer<typeof logTarget>;

/** A hole in a source's log: what lay between is in nobody's hands. A new base ends it. */
export const logGap = z.object({
  plan: name,
  source: name,
  kind: sourceKind,
  /** The last place that is held; absent where nothing was. */
  after: logPosition.optional(),
  /** The first place that is there again, where the source says so. */
  until: logPosition.optional(),
  why: z.string(),
  at: instant,
});
export type LogGap = z.infer<typeof logGap>;

/** Bytes of one tail: it is held in memory, sealed and read back. A longer flush is several of them, one after the other. */
export const TAIL_MOST_BYTES = 16_777_216;

/** Who ships which source's log; the token is that of the lease under which it is done. */
export type ShippedBy = { plan: string; source: string; fenceToken: number };

/** The fence token of what a source's own server gives (`archive_command`): it holds no lease, for nobody else has its files. */
export const PUSHED = 0;

const MOST_ID = 120;

/**
 * The id of a closed stretch's backup: the same stretch under the same lease is the same backup. Names of plans and sources
 * have no `_`, so that no two of them run together; what does not fit is a hash of stream and range.
 */
export function shippedBackupId({ plan, source, fenceToken }: ShippedBy, { stream, from, to }: LogRange): string {
  const of = (stretch: string) => `${plan}_${source}_${stretch}_${fenceToken}`;
  const whole = of(`${stream}_${from}_${to}`);
  if (whole.length <= MOST_ID) return whole;
  return of(createHash("sha256").update(`${stream}_${from}_${to}`).digest("hex").slice(0, 20));
}

const words = (position: LogPosition | undefined) =>
  position === undefined ? "" : `${position.stream}@${position.at}`;

/** Of a gap: the same hole told twice is one. All begin with 48 zero bits, so that they lie together among the records. */
export function gapId({ plan, source, after, until }: LogGap): string {
  return uuidv8(0, plan, source, words(after), words(until));
}
export const GAP_ID_PREFIX = "00000000-0000-8";
