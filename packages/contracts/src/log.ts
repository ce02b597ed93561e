import { z } from "zod";
import { instant, name, sourceKind } from "./names.ts";

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
