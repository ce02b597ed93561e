import { type Lsn, segmentStart } from "./lsn.ts";

export type Pace = {
  received: Lsn;
  segmentBytes: number;
  /** What the server wrote since the last look. */
  bytesPerMs: number;
  /** A flush is due then at the latest. */
  withinMs: number;
};

/** Servers do not write evenly: a look that comes before the segment is full comes again. */
const LATER = 1.05;
/** Of the time until a flush is due: a look takes some ms of both sides. */
const SOONEST = 1 / 8;

/**
 * In how many ms the segment that a busy server writes is full, or several are; `undefined`: not before a flush is due.
 * What lies in an open segment when it is flushed is stored as a tail, and again with the segment when that closes: a look at any time
 * would store half a segment twice.
 */
export function fullInMs({ received, segmentBytes, bytesPerMs, withinMs }: Pace): number | undefined {
  const missing = segmentBytes - Number(received - segmentStart(received, segmentBytes));
  const ms = Math.max(withinMs * SOONEST, (missing / bytesPerMs) * LATER);
  return ms < withinMs ? ms : undefined;
}
