import { toInstant } from "@stillpoint/contracts/names";
import { calendarOf } from "./calendar.ts";
import { neededByLog, sortBackups } from "./needs.ts";
import type { Policy } from "./policy.ts";
import type { Judgement, LogWindow, Reason, Retention, RetentionPoint } from "./retention-point.ts";
import { wantedBy } from "./wanted.ts";
import { wordsOf } from "./words.ts";

export type RetentionInput = {
  policy: Policy;
  /** All points of one plan that were not deleted, in any order. */
  points: readonly RetentionPoint[];
  logWindows: readonly LogWindow[];
  /** By the storage's clock, which the machine that made the points does not set. */
  nowMs: number;
};

/** Of two points cut at one moment the order is that of their ids, so that every machine finds the same. */
function newestFirst(points: readonly RetentionPoint[]): RetentionPoint[] {
  return [...points].sort((a, b) => b.cutMs - a.cutMs || (a.pointId < b.pointId ? 1 : -1));
}

/**
 * Says of each point whether it stays, and why. Decides only; whoever applies it deletes what goes. What always holds:
 * the newest `minimum` whole points stay, the newest proven one too, and what holds, own retention and the log need.
 * Applied to what stays it lets nothing more go, and a newer point never makes an older one needed again.
 */
export function judgeRetention({ policy, points, logWindows, nowMs }: RetentionInput): Retention {
  const all = newestFirst(points);
  const calendar = calendarOf(policy.timeZone);
  const reasons = new Map<string, Reason[]>(all.map(({ pointId }) => [pointId, []]));
  const because = ({ pointId }: RetentionPoint, ...more: readonly Reason[]) => reasons.get(pointId)?.push(...more);

  const past = all.filter(({ cutMs }) => cutMs <= nowMs);
  const whole = past.filter(({ partial }) => !partial);
  const newestMs = whole[0]?.cutMs ?? past[0]?.cutMs ?? nowMs;
  const byRules = (point: RetentionPoint) => point.expires === undefined;

  const wanted = wantedBy(policy.rules, whole.filter(byRules), newestMs, calendar);
  for (const point of whole) because(point, ...(wanted.kept.get(point.pointId) ?? []));

  // Partial points stand for nothing that a whole one could stand for: they count among themselves, until one is made.
  const newestWholeMs = whole[0]?.cutMs ?? Number.NEGATIVE_INFINITY;
  const alone = past.filter((point) => point.partial && point.cutMs > newestWholeMs);
  const wantedAlone = wantedBy(policy.rules, alone.filter(byRules), alone[0]?.cutMs ?? nowMs, calendar);
  alone.forEach((point, at) => {
    const found = wantedAlone.kept.get(point.pointId) ?? [];
    if (at === 0 || found.length > 0)
      because(point, { code: "partial", text: "partial, and no whole point was made since" }, ...found);
  });

  whole.slice(0, policy.minimum).forEach((point, at) => {
    if (at === 0) because(point, { code: "newest-whole", text: "the newest whole point" });
    else because(point, { code: "minimum", text: `one of the newest ${policy.minimum} whole points, the least kept` });
  });
  const proven = whole.find(({ proof }) => proof === "proven");
  if (proven !== undefined) because(proven, { code: "newest-proven", text: "the newest proven point" });

  for (const point of all) {
    if (point.cutMs > nowMs) because(point, { code: "future", text: "cut in the future: clocks do not agree" });
    for (const { reason, untilMs } of point.holds)
      if (untilMs === undefined || untilMs > nowMs)
        because(point, {
          code: "hold",
          text: `held${untilMs === undefined ? "" : ` until ${toInstant(untilMs)}`}: ${reason}`,
        });
    const { expires } = point;
    if (expires === "never") because(point, { code: "own-retention", text: "never goes, by its own retention" });
    else if (expires !== undefined && expires > nowMs)
      because(point, { code: "own-retention", text: `kept until ${toInstant(expires)} by its own retention` });
  }

  const isKept = ({ pointId }: RetentionPoint) => (reasons.get(pointId)?.length ?? 0) > 0;
  for (const { point, source, window } of neededByLog(all, logWindows, newestMs - policy.logMs, isKept))
    because(point, {
      code: "log",
      text: `the log of ${source} from ${toInstant(window.fromMs)} on rests on it (log: ${wordsOf(policy.logMs)})`,
    });

  const whyNot = (point: RetentionPoint): Reason => {
    if (typeof point.expires === "number")
      return { code: "own-retention", text: `its own retention ended at ${toInstant(point.expires)}` };
    if (!point.partial) return wanted.whyNot(point);
    if (point.cutMs > newestWholeMs) return wantedAlone.whyNot(point);
    return { code: "partial", text: `partial, and a whole point was cut at ${toInstant(newestWholeMs)}` };
  };
  const judged = all.map((point): Judgement => {
    const why = reasons.get(point.pointId) ?? [];
    return { point, keep: why.length > 0, reasons: why.length > 0 ? why : [whyNot(point)] };
  });
  return { points: judged, ...sortBackups(judged) };
}
