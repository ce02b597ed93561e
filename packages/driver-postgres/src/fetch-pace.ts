import { type Lsn, segmentStart } from "./lsn.ts";

export type Pace = {
  received: Lsn;
  segmentBytes: number;
  /** What the server wrote since the last look. */
  bytesPerMs: number;
  /** A flush is due then at the latest. */
  withinMs: number;
};

/** Servers do not write evenly: a look that comes before a segment is full ships most of it twice. */
const LATER = 1.05;

/**
 * When a busy server's WAL is fetched next, in ms from now: just after the last segment that will be full until a flush is due.
 * What lies in an open segment is stored as a tail, and again with the segment when that closes; a look at any time carries half a
 * segment twice.
 */
export function nextFetchMs({ received, segmentBytes, bytesPerMs, withinMs }: Pace): number {
  const filled = Number(received - segmentStart(received, segmentBytes));
  const full = Math.floor((filled + (bytesPerMs * withinMs) / LATER) / segmentBytes);
  if (full === 0) return withinMs;
  return ((full * segmentBytes - filled) / bytesPerMs) * LATER;
}
