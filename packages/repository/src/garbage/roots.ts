import type { LogRange } from "@stillpoint/contracts/log";
import type { Deletion } from "../changes/deletion.ts";
import type { RestOnLog } from "../log/point-log.ts";
import type { GarbageSettings } from "./settings.ts";

/** Why something is kept. A root of an earlier word here takes the bytes that a later one needs too. */
export const PINS = ["point", "hold", "log", "undelete", "unsealed", "lease"] as const;
export type Pin = (typeof PINS)[number];

/** A backup that is kept. `what`: the point, hold or holder it is kept for; `untilMs`: when that ends by itself. */
export type Root = { backupId: string; pin: Pin; what: string; untilMs?: number | undefined };

export type RootPoint = {
  pointId: string;
  backups: readonly string[];
  /** Where it rests on the log, whose objects it does not name. */
  rests: readonly RestOnLog[];
  deletion: Deletion | undefined;
  /** Holds in force. */
  holds: readonly { holdId: string; untilMs: number | undefined }[];
};
export type RootBackup = { backupId: string; storedMs: number };
export type RootLease = { holder: string; backups: readonly string[]; untilMs: number };
export type Known = {
  points: readonly RootPoint[];
  backups: readonly RootBackup[];
  leases: readonly RootLease[];
  /** Backups of the log that a kept window needs. */
  log: readonly string[];
};

const latest = (holds: RootPoint["holds"]) =>
  holds.some(({ untilMs }) => untilMs === undefined)
    ? undefined
    : Math.max(...holds.map(({ untilMs }) => untilMs ?? 0));

/** Pure: whether a point is kept, and for what. */
export function pinOfPoint(
  { pointId, deletion, holds }: RootPoint,
  nowMs: number,
  { undeleteMs }: Pick<GarbageSettings, "undeleteMs">,
): Omit<Root, "backupId"> | undefined {
  if (deletion === undefined) return { pin: "point", what: pointId };
  if (holds.length > 0) return { pin: "hold", what: pointId, untilMs: latest(holds) };
  const untilMs = deletion.atMs + undeleteMs;
  return untilMs > nowMs ? { pin: "undelete", what: pointId, untilMs } : undefined;
}

/**
 * Pure: all that is kept, in the order in which it is walked: what stays longest first, so that the bytes that are told to be
 * pinned by something are those that go when it ends.
 */
export function decideRoots(
  known: Known,
  nowMs: number,
  settings: Pick<GarbageSettings, "undeleteMs" | "unsealedMs">,
): Root[] {
  const { unsealedMs } = settings;
  const roots: Root[] = [];
  const there = new Set(known.backups.map(({ backupId }) => backupId));
  const inPoint = new Set(known.points.flatMap(({ backups }) => backups));
  for (const point of known.points) {
    const pin = pinOfPoint(point, nowMs, settings);
    if (pin !== undefined) for (const backupId of point.backups) roots.push({ backupId, ...pin });
  }
  for (const backupId of known.log) roots.push({ backupId, pin: "log", what: backupId });
  for (const { backupId, storedMs } of known.backups)
    if (!inPoint.has(backupId) && storedMs + unsealedMs > nowMs)
      roots.push({ backupId, pin: "unsealed", what: backupId, untilMs: storedMs + unsealedMs });
  for (const { holder, backups, untilMs } of known.leases)
    for (const backupId of backups)
      if (there.has(backupId)) roots.push({ backupId, pin: "lease", what: holder, untilMs });
  const end = ({ untilMs }: Root) => untilMs ?? Number.POSITIVE_INFINITY;
  return roots.sort((a, b) => PINS.indexOf(a.pin) - PINS.indexOf(b.pin) || end(b) - end(a));
}

/**
 * `source`: `<plan>/<source>`, for names of sources are unique within a plan. `range`: which stretch of the log it holds, or, of
 * a full, must be laid over it; absent where nobody said it. `begunMs`: when it was begun, by the storage's clock.
 */
export type LogBackup = RootBackup & {
  plan: string;
  source: string;
  type: "full" | "incremental" | "log";
  range?: LogRange | undefined;
  begunMs: number;
};
export type LogPiece = { range?: LogRange | undefined; storedMs: number };

/**
 * Pure: whether a piece of a log may be laid over a base, or over a later one. In one stream its place decides; else, and where
 * nobody said it, when it was stored: what a base needs was shipped while it was made.
 */
export function mayBeLaidOver(base: LogBackup, { range, storedMs }: LogPiece): boolean {
  if (range === undefined || range.stream !== base.range?.stream) return storedMs >= base.begunMs;
  return range.to > base.range.from;
}

/**
 * Pure: the backups of the log that nothing else keeps and that are needed for a moment that must be had: those since the
 * newest kept full that is older, or since the oldest there is. `bases`: that full of each source. `fulls` are kept for
 * something else.
 */
export function logWindow(
  fulls: readonly LogBackup[],
  logs: readonly LogBackup[],
  nowMs: number,
  { keepLogMs }: Pick<GarbageSettings, "keepLogMs">,
): { backups: string[]; bases: ReadonlyMap<string, LogBackup> } {
  const bases = new Map<string, LogBackup>();
  for (const [source, ofSource] of Map.groupBy(fulls, (each) => each.source)) {
    const sorted = ofSource.toSorted((a, b) => a.storedMs - b.storedMs);
    const base = sorted.findLast(({ storedMs, plan }) => storedMs <= nowMs - keepLogMs(plan)) ?? sorted[0];
    if (base !== undefined) bases.set(source, base);
  }
  const isNeeded = (log: LogBackup) => {
    const base = bases.get(log.source);
    return base === undefined || mayBeLaidOver(base, log);
  };
  return { backups: logs.filter(isNeeded).map(({ backupId }) => backupId), bases };
}

/**
 * Pure: of each source the newest full, where no point rests on it: made beside the points, it serves as long as no newer one does.
 * `isShipped`: a log is laid over it; else it is what a run left that failed.
 */
export function standingBases(
  fulls: readonly LogBackup[],
  inPoint: ReadonlySet<string>,
  isShipped: (source: string) => boolean,
): string[] {
  return [...Map.groupBy(fulls, ({ source }) => source)].flatMap(([source, ofSource]) => {
    const newest = ofSource.reduce((best, each) => (each.storedMs > best.storedMs ? each : best));
    const isStanding = newest.range !== undefined && !inPoint.has(newest.backupId) && isShipped(source);
    return isStanding ? [newest.backupId] : [];
  });
}
