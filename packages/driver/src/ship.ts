import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { TreeWriter } from "./tree.ts";

/** Takes a source's log. What it was given is durable when a call resolves; the same range given twice is kept once. */
export interface LogSink {
  /** A closed stretch as a tree, such as one segment: it supersedes the tails of its range. */
  closed(range: LogRange, write: (tree: TreeWriter) => Promise<void>): Promise<void>;
  /** What the open stretch grew by since the last call. */
  tail(range: LogRange, bytes: Uint8Array): Promise<void>;
  /** What lay between is lost: it is recorded, and a new base is asked for. */
  gap(gap: { after?: LogPosition; until?: LogPosition; why: string }): Promise<void>;
}

/** How far a shipper is. `lagBytes`: what the server has and the sink does not, by the server's own position. */
export type ShipProgress = { held: LogPosition; server: LogPosition; lagBytes: number };

export type ShipOptions = {
  /**
   * Whose shipping this is, such as plan and source of an installation; the same for good. What the source keeps for it (a
   * slot) is named after it, so that two who ship one source do not take it from each other.
   */
  owner: string;
  /** The newest place up to which the sink holds the log without a hole; absent: nothing, it begins where the source stands. */
  from?: LogPosition;
  /** At most so long does a byte wait for its tail. */
  flushMs: number;
  /**
   * A signal that fires when somebody waits for what is there then: it is flushed at once. Each call is for what is asked from
   * then on; a driver calls before it looks at what it flushes, and flushes as it begins.
   */
  flushSoon: () => AbortSignal;
  /** The source keeps at most so much log for us; past it the log is given up and a gap recorded, rather than its disk filled. */
  retainMostBytes: number;
  sink: LogSink;
  /** Told at each flush, and at least every few seconds while nothing happens. */
  progress: (progress: ShipProgress) => void;
  /** Ends it well: what is there is flushed, then `ship` resolves. The context's signal ends it at once. */
  stop: AbortSignal;
};
