/** Four segments of PostgreSQL's: of less log the start of the server is most of the time. */
const MEASURED_FROM_BYTES = 67_108_864;

/** Pure: how fast a log was replayed, by one rehearsal; undefined: it says nothing of that. */
export function replayRateOf(replay: { bytes: number; ms: number } | undefined): number | undefined {
  if (replay === undefined || replay.bytes < MEASURED_FROM_BYTES) return undefined;
  return (replay.bytes / replay.ms) * 1_000;
}
