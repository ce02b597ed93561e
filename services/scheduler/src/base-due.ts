import { FRESH_MS } from "@stillpoint/schedule/fresh-base";

/** So long before a point that rests on a fresh base, one is made. */
const AHEAD_MS = 3_600_000;
/** A replay may take this part of the time in which all must be restored. */
const PART_OF_RTO = 3;
/**
 * A log that is longer than so many times its base is what a restore waits for, and a copy costs less: bases add a quarter at most
 * to what is read and sent of a source anyway.
 */
const TIMES_THE_BASE = 4;
/** Up to here it is borne whatever the base's size: a small source that writes much would be copied all the time. */
const BORNE_BYTES = 1_073_741_824;
/** A base that was just made has as much to replay, its last segment and the open one. Another would be due with each look. */
const LEAST_BYTES = 33_554_432;
/** A shipper, or a vault, that starts anew is back sooner. */
const PATIENCE_MS = 600_000;
/** Until a rehearsal has shown it, by kind, bytes of the log in a second: what slow machines were seen to replay. */
const SUPPOSED_RATE = { postgres: 20_000_000, neo4j: 4_000_000, sqlite: 20_000_000 } as const;

export type BaseState = {
  kind: keyof typeof SUPPOSED_RATE;
  /** What would be laid over which base to restore the newest place; absent: no base serves it. */
  replay: { storedMs: number; baseBytes: number; logBytes: number } | undefined;
  /** Of the newest base, also of one whose log is on its way; absent: there is none. */
  newestBaseMs: number | undefined;
  /** When the newest gap was recorded. */
  gapMs: number | undefined;
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
  const { kind, replay, newestBaseMs, gapMs, bytesPerSecond = SUPPOSED_RATE[kind], rtoMs, baseMs, nextLongMs } = state;
  // One that was just made serves as soon as its log has come; over a gap none comes.
  const isOnItsWay = newestBaseMs !== undefined && newestBaseMs > Math.max(replay?.storedMs ?? 0, gapMs ?? 0);
  if (isOnItsWay && nowMs - newestBaseMs < PATIENCE_MS) return undefined;
  if (replay === undefined) return "no base serves the log";
  const replayMs = (replay.logBytes / bytesPerSecond) * 1_000;
  if (replay.logBytes > LEAST_BYTES && replayMs > rtoMs / PART_OF_RTO)
    return `replaying the log would take ${Math.round(replayMs / 1_000)} s, more than a third of the RTO`;
  if (replay.logBytes > Math.max(BORNE_BYTES, TIMES_THE_BASE * replay.baseBytes))
    return `the log to replay, ${mebibytes(replay.logBytes)}, is long beside its base of ${mebibytes(replay.baseBytes)}`;
  if (nowMs - replay.storedMs >= baseMs) return `the one before is older than ${Math.round(baseMs / 3_600_000)} h`;
  const isAhead = nextLongMs !== undefined && nextLongMs - nowMs <= AHEAD_MS;
  if (isAhead && replay.storedMs < nextLongMs - FRESH_MS) return "a point that is kept for long rests on a fresh one";
  return undefined;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}
