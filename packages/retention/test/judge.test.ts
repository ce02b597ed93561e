import { type KeepRule, keepRule } from "@stillpoint/contracts/keep";
import { describe, expect, it } from "vitest";
import { judgeRetention } from "../src/judge.ts";
import { policyOf } from "../src/policy.ts";
import type { Judgement, LogWindow, RetentionPoint } from "../src/retention-point.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, pointAt, pointsBetween } from "./points.ts";

type Written = Parameters<typeof keepRule.parse>[0];
type Rest = { timeZone?: string; now?: string; logWindows?: readonly LogWindow[] };

function judge(keep: Written, points: readonly RetentionPoint[], rest: Rest = {}) {
  const parsed: KeepRule = keepRule.parse(keep);
  const nowMs = Date.parse(rest.now ?? "2027-01-01T00:00:00.000Z");
  return judgeRetention({
    policy: policyOf(parsed, rest.timeZone ?? "UTC"),
    points,
    logWindows: rest.logWindows ?? [],
    nowMs,
  });
}

const codes = ({ reasons }: Judgement) => reasons.map(({ code }) => code).join("+");
const keptOf = (judged: readonly Judgement[]) =>
  judged.filter(({ keep }) => keep).map((each) => `${each.point.pointId} ${codes(each)}`);

/** Every day at noon the policy is applied to what is there, as the vault does it. */
function live(keep: Written, made: readonly RetentionPoint[], timeZone: string): RetentionPoint[] {
  let there: RetentionPoint[] = [];
  let next = 0;
  for (let nowMs = (made[0]?.cutMs ?? 0) + DAY_MS; next < made.length; nowMs += DAY_MS) {
    for (let point = made[next]; point !== undefined && point.cutMs <= nowMs; point = made[++next]) there.push(point);
    there = judge(keep, there, { timeZone, now: new Date(nowMs).toISOString() })
      .points.filter(({ keep }) => keep)
      .map(({ point }) => point)
      .reverse();
  }
  return there;
}

describe("golden", () => {
  const year = pointsBetween("2025-11-20T00:00:00.000Z", "2027-01-01T00:00:00.000Z", 6 * HOUR_MS);
  const busy = [
    ...pointsBetween("2025-11-20T02:00:00.000Z", "2026-12-20T02:00:00.000Z", DAY_MS),
    ...pointsBetween("2026-12-21T00:00:00.000Z", "2026-12-30T23:00:00.000Z", HOUR_MS),
    ...pointsBetween("2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z", 5 * MINUTE_MS),
  ];
  const cases: [string, Written, readonly RetentionPoint[], string][] = [
    ["tiered-15m", { points: "tiered-15m" }, busy, "UTC"],
    ["30-12-6", { points: "30-12-6" }, year, "UTC"],
    ["7-4-12", { points: "7-4-12" }, year, "America/New_York"],
    ["flat-30d", { points: "flat-30d" }, year, "UTC"],
    [
      "numbers",
      { points: { last: 3, hourly: 4, daily: 5, weekly: 3, monthly: 3, yearly: 3, within: "24h" } },
      year,
      "Asia/Kolkata",
    ],
  ];

  it.each(cases)("%s: what stays, and why; why the rest goes", async (name, keep, points, timeZone) => {
    const { points: judged } = judge(keep, points, { timeZone });
    const gone = new Map<string, number>();
    for (const each of judged) if (!each.keep) gone.set(codes(each), (gone.get(codes(each)) ?? 0) + 1);
    const text = [
      `${points.length} points, ${timeZone}`,
      ...judged
        .filter(({ keep }) => keep)
        .map(({ point, reasons }) => `${point.pointId}  ${reasons.map(({ text }) => text).join("; ")}`),
      ...[...gone].map(([code, count]) => `${count} go: ${code}`),
      `such as ${judged.findLast(({ keep, reasons }) => !keep && reasons[0]?.code === "replaced")?.reasons[0]?.text ?? "none"}`,
    ].join("\n");
    await expect(`${text}\n`).toMatchFileSnapshot(`golden/${name}.txt`);
  });

  it("applied every day, tiers promote: what is left after a year is what one look at everything keeps", () => {
    const made = pointsBetween("2026-01-05T00:00:00.000Z", "2026-05-01T00:00:00.000Z", HOUR_MS / 2);
    const keep = { points: "tiered-15m" };
    const left = live(keep, made, "Europe/Berlin");
    const once = judge(keep, made, { timeZone: "Europe/Berlin", now: "2026-05-01T00:00:00.000Z" });
    expect(left.map(({ pointId }) => pointId).reverse()).toEqual(
      once.points.filter(({ keep }) => keep).map(({ point }) => point.pointId),
    );
  });
});

describe("calendars", () => {
  it("an hour that comes twice is two hours, and one that is skipped is none", () => {
    // Berlin: 2026-03-29 02:00 does not exist, 2026-10-25 02:00 comes twice.
    const spring = pointsBetween("2026-03-29T00:15:00.000Z", "2026-03-29T02:45:00.000Z", 30 * MINUTE_MS);
    const autumn = pointsBetween("2026-10-24T23:15:00.000Z", "2026-10-25T02:45:00.000Z", 30 * MINUTE_MS);
    const hourly = { points: { hourly: 100 }, minimum: 1 };
    const names = (points: readonly RetentionPoint[]) =>
      judge(hourly, points, { timeZone: "Europe/Berlin" })
        .points.flatMap(({ reasons }) => reasons.filter(({ code }) => code === "hour").map(({ text }) => text))
        .map((text) => /\((.+)\)/.exec(text)?.[1])
        .reverse();
    expect(names(spring)).toEqual(["2026-03-29T01+01:00", "2026-03-29T03+02:00", "2026-03-29T04+02:00"]);
    expect(names(autumn)).toEqual([
      "2026-10-25T01+02:00",
      "2026-10-25T02+02:00",
      "2026-10-25T02+01:00",
      "2026-10-25T03+01:00",
    ]);
  });

  it("days of 23 and 25 hours are one day each, in the plan's zone", () => {
    const points = pointsBetween("2026-10-23T22:00:00.000Z", "2026-10-26T22:59:00.000Z", HOUR_MS);
    const kept = judge({ points: { daily: 100 }, minimum: 1 }, points, { timeZone: "Europe/Berlin" });
    expect(keptOf(kept.points)).toEqual([
      "2026-10-26T22:00:00.000Z day+newest-whole",
      "2026-10-25T22:00:00.000Z day",
      "2026-10-24T21:00:00.000Z day",
    ]);
  });

  it("a week belongs to the year of its Thursday", () => {
    const points = [
      pointAt("2026-12-31T12:00:00.000Z"),
      pointAt("2027-01-03T12:00:00.000Z"),
      pointAt("2027-01-04T12:00:00.000Z"),
    ];
    const kept = judge({ points: { weekly: 9 }, minimum: 1 }, points, { now: "2027-02-01T00:00:00.000Z" });
    expect(keptOf(kept.points)).toEqual([
      "2027-01-04T12:00:00.000Z week+newest-whole",
      "2027-01-03T12:00:00.000Z week",
    ]);
    expect(kept.points[1]?.reasons[0]?.text).toContain("2026-W53");
  });

  it("the point of the schedule's own entry stands for its unit", () => {
    const day = pointsBetween("2026-06-01T00:00:00.000Z", "2026-06-01T12:00:00.000Z", HOUR_MS).map((point) =>
      point.pointId === "2026-06-01T02:00:00.000Z" ? { ...point, entries: ["every-1h", "daily"] } : point,
    );
    const later = pointAt("2026-06-03T00:00:00.000Z");
    const kept = judge({ points: { daily: 5 }, minimum: 1 }, [...day, later]);
    expect(keptOf(kept.points)).toEqual(["2026-06-03T00:00:00.000Z day+newest-whole", "2026-06-01T02:00:00.000Z day"]);
  });
});

describe("what always stays", () => {
  const old = { points: { last: 1 }, minimum: 1 };

  it("the newest proven point, though newer ones are not; a failed proof proves nothing", () => {
    const kept = judge(old, [
      pointAt("2026-01-01T00:00:00.000Z", { proof: "proven" }),
      pointAt("2026-01-02T00:00:00.000Z", { proof: "proven" }),
      pointAt("2026-01-03T00:00:00.000Z", { proof: "failed" }),
      pointAt("2026-01-04T00:00:00.000Z"),
    ]);
    expect(keptOf(kept.points)).toEqual([
      "2026-01-04T00:00:00.000Z last+newest-whole",
      "2026-01-02T00:00:00.000Z newest-proven",
    ]);
  });

  it("the least number of whole points, though all have an end of their own behind them", () => {
    const points = pointsBetween("2026-01-01T00:00:00.000Z", "2026-01-09T00:00:00.000Z", DAY_MS).map((point) => ({
      ...point,
      expires: Date.parse("2026-02-01T00:00:00.000Z"),
    }));
    const kept = judge({ points: "tiered-15m", minimum: 4 }, points);
    expect(keptOf(kept.points)).toHaveLength(4);
    expect(kept.points.at(-1)?.reasons[0]?.text).toBe("its own retention ended at 2026-02-01T00:00:00.000Z");
  });

  it("everything, where no point was made for years: ages are counted from the newest one", () => {
    const points = pointsBetween("2020-01-01T00:00:00.000Z", "2020-01-20T00:00:00.000Z", DAY_MS);
    expect(keptOf(judge({ points: "flat-30d" }, points).points)).toHaveLength(20);
  });

  it("a point from the future, and beside it what stays without it", () => {
    const points = [
      pointAt("2026-05-01T00:00:00.000Z"),
      pointAt("2026-05-02T00:00:00.000Z"),
      pointAt("2099-01-01T00:00:00.000Z"),
    ];
    expect(keptOf(judge(old, points).points)).toEqual([
      "2099-01-01T00:00:00.000Z future",
      "2026-05-02T00:00:00.000Z last+newest-whole",
    ]);
  });

  it("what is held, until the hold ends", () => {
    const untilMs = Date.parse("2026-06-01T00:00:00.000Z");
    const points = [
      pointAt("2026-01-01T00:00:00.000Z", { holds: [{ reason: "case 7" }] }),
      pointAt("2026-01-02T00:00:00.000Z", { holds: [{ reason: "audit", untilMs }] }),
      pointAt("2026-01-03T00:00:00.000Z"),
    ];
    expect(keptOf(judge(old, points, { now: "2026-05-01T00:00:00.000Z" }).points)).toHaveLength(3);
    const later = judge(old, points, { now: "2026-07-01T00:00:00.000Z" }).points;
    expect(later.map(({ keep }) => keep)).toEqual([true, false, true]);
    expect(later[2]?.reasons[0]?.text).toBe("held: case 7");
  });

  it("a point of its own retention: it stands for no day, goes at its end, and never where it says so", () => {
    const points = [
      pointAt("2026-01-01T10:00:00.000Z"),
      pointAt("2026-01-01T11:00:00.000Z", { expires: Date.parse("2026-06-01T00:00:00.000Z") }),
      pointAt("2026-01-01T12:00:00.000Z", { expires: "never" }),
      pointAt("2026-01-03T00:00:00.000Z"),
    ];
    const keep = { points: { daily: 9 }, minimum: 1 };
    const before = judge(keep, points, { now: "2026-05-01T00:00:00.000Z" });
    expect(before.points.map(codes)).toEqual(["day+newest-whole", "own-retention", "own-retention", "day"]);
    const after = judge(keep, points, { now: "2026-07-01T00:00:00.000Z" });
    expect(after.points.map(({ keep }) => keep)).toEqual([true, true, false, true]);
  });
});

describe("partial points", () => {
  const partial = (at: string) => pointAt(at, { partial: true });

  it("stand for nothing: a whole point of the same day stays, though a partial one is newer", () => {
    const points = [
      pointAt("2026-01-01T10:00:00.000Z"),
      partial("2026-01-01T11:00:00.000Z"),
      pointAt("2026-01-02T00:00:00.000Z"),
    ];
    const kept = judge({ points: { daily: 2 }, minimum: 1 }, points);
    expect(kept.points.map(codes)).toEqual(["day+newest-whole", "partial", "day"]);
    expect(kept.points[1]).toMatchObject({
      keep: false,
      reasons: [{ text: expect.stringContaining("a whole point was cut") }],
    });
  });

  it("newer than every whole one are thinned among themselves, and never replace the newest whole one", () => {
    const points = [
      pointAt("2026-01-01T00:00:00.000Z"),
      partial("2026-01-02T10:00:00.000Z"),
      partial("2026-01-02T11:00:00.000Z"),
      partial("2026-01-03T11:00:00.000Z"),
    ];
    const kept = judge({ points: { daily: 1 }, minimum: 1 }, points);
    expect(keptOf(kept.points)).toEqual([
      "2026-01-03T11:00:00.000Z partial+day",
      "2026-01-01T00:00:00.000Z day+newest-whole",
    ]);
  });
});

describe("chains and the log", () => {
  const chained = (at: string, ...backups: string[]) => pointAt(at, { backups });

  it("a base that a kept point stands on is not freed with the point that made it", () => {
    const points = [
      chained("2026-01-01T00:00:00.000Z", "base", "log-1"),
      chained("2026-01-02T00:00:00.000Z", "base", "log-1", "log-2"),
    ];
    const judged = judge({ points: { last: 1 }, minimum: 1, log: "1ms" }, points);
    expect(judged).toMatchObject({ freed: [], stillNeeded: [{ backupId: "base" }, { backupId: "log-1" }] });
  });

  it("the point that holds the base of a log that must be kept stays, and goes when the log's time is over", () => {
    const points = [
      chained("2026-01-01T00:00:00.000Z", "base-1"),
      chained("2026-01-02T00:00:00.000Z", "base-1", "log-1"),
      chained("2026-01-03T00:00:00.000Z", "base-2"),
      chained("2026-01-06T00:00:00.000Z", "base-2", "log-2"),
    ];
    const window = (source: string, from: string, to: string, ...backups: string[]): LogWindow => ({
      source,
      fromMs: Date.parse(from),
      toMs: Date.parse(to),
      backups,
    });
    const logWindows = [
      window("orders", "2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z", "base-1", "log-1"),
      window("orders", "2026-01-03T00:00:00.000Z", "2026-01-06T00:00:00.000Z", "base-2", "log-2"),
    ];
    const keep = { points: { last: 1 }, minimum: 1 };
    const kept = judge({ ...keep, log: "4d" }, points, { logWindows });
    expect(keptOf(kept.points)).toEqual(["2026-01-06T00:00:00.000Z last+newest-whole", "2026-01-02T00:00:00.000Z log"]);
    expect(kept.freed).toEqual([]);
    const later = judge({ ...keep, log: "2d" }, points, { logWindows });
    expect(keptOf(later.points)).toEqual(["2026-01-06T00:00:00.000Z last+newest-whole"]);
    expect([...later.freed].sort()).toEqual(["base-1", "log-1"]);
  });
});
