import { findPointServing, type RestOnLog } from "../log/point-log.ts";
import { type HeldClosed, type HeldFull, type HeldTail, type JoinedRanges, joinedRanges } from "../log/source-log.ts";
import type { LogBackup } from "./roots.ts";

export type StoredTail = HeldTail & { source: string };

const keyOf = ({ plan, source }: RestOnLog) => `${plan}/${source}`;

/** Of many points on one base the one that is furthest in a stream: what lies before it, the others need too. */
function furthestOf(rests: readonly RestOnLog[]): RestOnLog[] {
  const furthest = new Map<string, RestOnLog>();
  for (const rest of rests) {
    const key = `${rest.base} ${rest.place.stream}`;
    const known = furthest.get(key);
    if (known === undefined || known.place.at < rest.place.at) furthest.set(key, rest);
  }
  return [...furthest.values()];
}

/**
 * Pure: the stretches of the log that kept points rest on, by source (`<plan>/<source>`). Of a source where one of them cannot be
 * followed, `all`: what is left of its log is not made less.
 */
export function logOfPoints(
  rests: readonly RestOnLog[],
  backups: readonly LogBackup[],
  tails: readonly StoredTail[],
): ReadonlyMap<string, JoinedRanges | "all"> {
  const kept = new Map<string, JoinedRanges | "all">();
  for (const [source, ofSource] of Map.groupBy(rests, keyOf)) {
    const fulls: HeldFull[] = [];
    const closed: HeldClosed[] = [];
    for (const { source: of, type, range, backupId, storedMs, begunMs } of backups) {
      if (of !== source || range === undefined) continue;
      if (type === "log") closed.push({ backupId, range, storedMs, bytes: 0 });
      else fulls.push({ backupId, range, storedMs, startedAt: new Date(begunMs).toISOString() });
    }
    const log = { fulls, closed, tails: tails.filter((each) => each.source === source), gaps: [] };
    const servings = furthestOf(ofSource).map((rest) => findPointServing(log, rest));
    kept.set(
      source,
      servings.includes(undefined) ? "all" : joinedRanges(servings.flatMap((serving) => serving?.reads ?? [])),
    );
  }
  return kept;
}
