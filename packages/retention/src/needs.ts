import { toInstant } from "@stillpoint/contracts/names";
import type { Judgement, LogWindow, Retention, RetentionPoint } from "./retention-point.ts";

export type LogNeed = { point: RetentionPoint; source: string; window: LogWindow };

/**
 * Points that must stay beside those that do, so that each backup of every window that reaches into the time of the log has
 * a point to hold it. `points` are newest first: of several that stand on a backup the newest whole one is taken.
 */
export function neededByLog(
  points: readonly RetentionPoint[],
  windows: readonly LogWindow[],
  sinceMs: number,
  isKept: (point: RetentionPoint) => boolean,
): LogNeed[] {
  const held = new Set(points.filter(isKept).flatMap(({ backups }) => backups));
  const holders = new Map<string, RetentionPoint>();
  for (const point of points)
    for (const backup of point.backups) {
      const known = holders.get(backup);
      if (known === undefined || (known.partial && !point.partial)) holders.set(backup, point);
    }
  const needs: LogNeed[] = [];
  for (const window of windows) {
    if (window.toMs < sinceMs) continue;
    for (const backup of window.backups) {
      if (held.has(backup)) continue;
      const point = holders.get(backup);
      if (point === undefined) continue; // no point stands on it: what no point holds is the collector's to keep
      needs.push({ point, source: window.source, window });
      for (const each of point.backups) held.add(each);
    }
  }
  return needs;
}

/** What becomes of the backups of points that go. A chain is never cut: what a point that stays stands on, stays. */
export function sortBackups(judged: readonly Judgement[]): Pick<Retention, "freed" | "stillNeeded"> {
  const holders = new Map<string, RetentionPoint>();
  for (const { point, keep } of judged) if (keep) for (const backup of point.backups) holders.set(backup, point);
  const freed: string[] = [];
  const stillNeeded: { backupId: string; by: string }[] = [];
  const going = new Set(judged.flatMap(({ point, keep }) => (keep ? [] : point.backups)));
  for (const backupId of going) {
    const holder = holders.get(backupId);
    if (holder === undefined) freed.push(backupId);
    else stillNeeded.push({ backupId, by: `the point cut at ${toInstant(holder.cutMs)} stands on it` });
  }
  return { freed, stillNeeded };
}
