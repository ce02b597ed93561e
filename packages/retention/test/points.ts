import type { RetentionPoint } from "../src/retention-point.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A whole, unproven point with a backup of its own. */
export function pointAt(cut: string | number, more: Partial<RetentionPoint> = {}): RetentionPoint {
  const cutMs = typeof cut === "number" ? cut : Date.parse(cut);
  const pointId = new Date(cutMs).toISOString();
  return {
    pointId,
    cutMs,
    entries: [],
    partial: false,
    proof: "unproven",
    holds: [],
    backups: [`b-${pointId}`],
    ...more,
  };
}

/** One each `everyMs`, both ends included. */
export function pointsBetween(from: string, to: string, everyMs: number): RetentionPoint[] {
  const points: RetentionPoint[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += everyMs) points.push(pointAt(at));
  return points;
}
