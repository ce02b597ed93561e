import { KEEP_PRESETS, keepRule } from "@stillpoint/contracts/keep";
import fc from "fast-check";
import { describe, it } from "vitest";
import { judgeRetention } from "../src/judge.ts";
import { policyOf } from "../src/policy.ts";
import type { LogWindow, Retention, RetentionPoint } from "../src/retention-point.ts";
import { DAY_MS, HOUR_MS, pointAt } from "./points.ts";

const NOW = Date.parse("2026-11-02T00:00:00.000Z");
const count = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });

const policy = fc
  .record({
    preset: fc.option(fc.constantFrom(...KEEP_PRESETS), { nil: undefined }),
    counts: fc.record({ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count }),
    minimum: fc.integer({ min: 1, max: 6 }),
    logDays: fc.integer({ min: 1, max: 20 }),
    timeZone: fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"),
  })
  .map(({ preset, counts, minimum, logDays, timeZone }) => {
    const numbers = Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== undefined));
    const points = preset ?? (Object.keys(numbers).length === 0 ? { last: 1 } : numbers);
    return policyOf(keepRule.parse({ points, minimum, log: `${logDays}d` }), timeZone);
  });

type Drawn = {
  hoursBefore: number;
  entries: string[];
  partial: boolean;
  proof: RetentionPoint["proof"];
  held: boolean;
  expires: number | "never" | undefined;
  /** Stands on the base of the point before, with one more piece of log. */
  follows: boolean;
};
const drawn: fc.Arbitrary<Drawn> = fc.record({
  hoursBefore: fc.integer({ min: -48, max: 24 * 500 }),
  entries: fc.subarray(["hourly", "daily", "weekly", "monthly"]),
  partial: fc.boolean(),
  proof: fc.constantFrom("proven", "failed", "inconclusive", "unproven"),
  held: fc.integer({ min: 0, max: 15 }).map((roll) => roll === 0),
  expires: fc.option(fc.constantFrom("never" as const, NOW - DAY_MS, NOW + DAY_MS), { nil: undefined, freq: 8 }),
  follows: fc.boolean(),
});

/** Points oldest first, in chains, and the windows that their logs make. */
function made(list: readonly Drawn[]): RetentionPoint[] {
  const oldestFirst = [...list].sort((a, b) => b.hoursBefore - a.hoursBefore);
  const points: RetentionPoint[] = [];
  oldestFirst.forEach(({ hoursBefore, held, follows, ...rest }, at) => {
    const before = points.at(-1)?.backups ?? [];
    const backups = follows && before.length > 0 ? [...before, `log-${at}`] : [`base-${at}`];
    const holds = held ? [{ reason: "held" }] : [];
    points.push(pointAt(NOW - hoursBefore * HOUR_MS, { ...rest, holds, backups, pointId: `p-${at}` }));
  });
  return points;
}

function windowsOf(points: readonly RetentionPoint[]): LogWindow[] {
  const longest = new Map<string, RetentionPoint>();
  for (const point of points) {
    const [base = ""] = point.backups;
    if (point.backups.length > Math.max(1, longest.get(base)?.backups.length ?? 0)) longest.set(base, point);
  }
  return [...longest.values()].map(({ cutMs, backups }) => ({
    source: "orders",
    fromMs: cutMs - (backups.length - 1) * HOUR_MS,
    toMs: cutMs,
    backups,
  }));
}

const history = fc.array(drawn, { minLength: 1, maxLength: 60 }).map(made);
const keptIn = ({ points }: Retention) => points.filter(({ keep }) => keep).map(({ point }) => point);

describe("for any history and any policy", () => {
  const check = (property: fc.IProperty<unknown[]>) => fc.assert(property, { numRuns: 300 });

  it("each point is judged once, and says why", () =>
    check(
      fc.property(history, policy, (points, policy) => {
        const { points: judged } = judgeRetention({ policy, points, logWindows: windowsOf(points), nowMs: NOW });
        const ids = judged.map(({ point }) => point.pointId).sort();
        const same = JSON.stringify(ids) === JSON.stringify(points.map(({ pointId }) => pointId).sort());
        return (
          same && judged.every(({ reasons }) => reasons.length > 0 && reasons.every(({ text }) => text.length > 5))
        );
      }),
    ));

  it("applied a second time lets nothing more go", () =>
    check(
      fc.property(history, policy, (points, policy) => {
        const first = judgeRetention({ policy, points, logWindows: windowsOf(points), nowMs: NOW });
        const left = keptIn(first);
        const oldestFirst = [...left].reverse();
        const second = judgeRetention({ policy, points: left, logWindows: windowsOf(oldestFirst), nowMs: NOW });
        return second.points.every(({ keep }) => keep);
      }),
    ));

  it("a newer point never makes a point needed again that was to go", () =>
    check(
      fc.property(history, drawn, policy, (points, next, policy) => {
        const before = judgeRetention({ policy, points, logWindows: windowsOf(points), nowMs: NOW });
        const newestMs = Math.max(...points.map(({ cutMs }) => cutMs));
        const { hoursBefore: _, held: __, follows, ...rest } = next;
        const chain = points.at(-1)?.backups ?? [];
        const backups = follows ? [...chain, "log-new"] : ["base-new"];
        const cutMs = newestMs + HOUR_MS;
        const newer = pointAt(cutMs, { ...rest, holds: [], backups, pointId: "p-new" });
        const all = [...points, newer];
        const after = judgeRetention({ policy, points: all, logWindows: windowsOf(all), nowMs: Math.max(NOW, cutMs) });
        const keptAfter = new Set(keptIn(after).map(({ pointId }) => pointId));
        return before.points.every(({ point, keep }) => keep || !keptAfter.has(point.pointId));
      }),
    ));

  it("the least number of whole points stays, the newest whole and the newest proven among them, and what is held", () =>
    check(
      fc.property(history, policy, (points, policy) => {
        const kept = keptIn(judgeRetention({ policy, points, logWindows: [], nowMs: NOW }));
        const whole = points.filter(({ partial, cutMs }) => !partial && cutMs <= NOW);
        const newest = Math.max(...whole.map(({ cutMs }) => cutMs));
        const proven = whole.filter(({ proof }) => proof === "proven").map(({ cutMs }) => cutMs);
        const cuts = kept.filter(({ partial }) => !partial).map(({ cutMs }) => cutMs);
        return (
          kept.filter(({ partial, cutMs }) => !partial && cutMs <= NOW).length >=
            Math.min(policy.minimum, whole.length) &&
          (whole.length === 0 || cuts.includes(newest)) &&
          (proven.length === 0 || cuts.includes(Math.max(...proven))) &&
          points.every((point) => point.holds.length === 0 || kept.includes(point))
        );
      }),
    ));

  it("nothing is freed that a point that stays, or a log that must be kept, rests on", () =>
    check(
      fc.property(history, policy, (points, policy) => {
        const logWindows = windowsOf(points);
        const judged = judgeRetention({ policy, points, logWindows, nowMs: NOW });
        const needed = new Set(keptIn(judged).flatMap(({ backups }) => backups));
        const whole = points.filter(({ partial, cutMs }) => !partial && cutMs <= NOW);
        const past = whole.length > 0 ? whole : points.filter(({ cutMs }) => cutMs <= NOW);
        const newestMs = past.length === 0 ? NOW : Math.max(...past.map(({ cutMs }) => cutMs));
        for (const { toMs, backups } of logWindows)
          if (toMs >= newestMs - policy.logMs) for (const backup of backups) needed.add(backup);
        const gone = new Set(judged.points.flatMap(({ point, keep }) => (keep ? [] : point.backups)));
        const sorted = new Set([...judged.freed, ...judged.stillNeeded.map(({ backupId }) => backupId)]);
        return judged.freed.every((backup) => !needed.has(backup)) && [...gone].every((backup) => sorted.has(backup));
      }),
    ));
});
