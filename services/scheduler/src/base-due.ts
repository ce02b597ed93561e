import { FRESH_MS } from "@stillpoint/schedule/fresh-base";

/** So long before a point that rests on a fresh base, one is made. */
const AHEAD_MS = 3_600_000;
/** A replay may take this part of the time in which all must be restored. */
const PART_OF_RTO = 3;
/** A shipper, or a vault, that starts anew is back sooner. */
const PATIENCE_MS = 600_000;
/** Until a rehearsal has shown it, by kind, bytes of the log in a second: what slow machines were seen to replay. */
const SUPPOSED_RATE = { postgres: 20_000_000, neo4j: 4_000_000, sqlite: 20_000_000 } as const;

export type BaseState = {
  kind: keyof typeof SUPPOSED_RATE;
  /** What would be laid over which base to restore the newest place; absent: no base serves it. */
  replay: { storedMs: number; logBytes: number } | undefined;
  /** Of the newest base, also of one whose log is on its way; absent: there is none. */
  newestBaseMs: number | undefined;
  /** Measured. */
  bytesPerSecond: number | undefined;
  rtoMs: number;
  /** At the latest so long after the one before. */
  baseMs: number;
  /** When the next point is due that rests on a fresh base. */
  nextLongMs: number | undefined;
};

/** Pure: why a new base is due, in words; undefined: it is not. */
export function baseDue(state: BaseState, nowMs: number): string | undefined {
  const { kind, replay, newestBaseMs, bytesPerSecond = SUPPOSED_RATE[kind], rtoMs, baseMs, nextLongMs } = state;
  // One that was just made serves as soon as its log has come.
  const isOnItsWay = newestBaseMs !== undefined && newestBaseMs > (replay?.storedMs ?? 0);
  if (isOnItsWay && nowMs - newestBaseMs < PATIENCE_MS) return undefined;
  if (replay === undefined) return "no base serves the log";
  const replayMs = (replay.logBytes / bytesPerSecond) * 1_000;
  if (replayMs > rtoMs / PART_OF_RTO)
    return `replaying the log would take ${Math.round(replayMs / 1_000)} s, more than a third of the RTO`;
  if (nowMs - replay.storedMs >= baseMs) return `the one before is older than ${Math.round(baseMs / 3_600_000)} h`;
  const isAhead = nextLongMs !== undefined && nextLongMs - nowMs <= AHEAD_MS;
  if (isAhead && replay.storedMs < nextLongMs - FRESH_MS) return "a point that is kept for long rests on a fresh one";
  return undefined;
}
