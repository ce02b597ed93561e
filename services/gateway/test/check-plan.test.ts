import { type PlanInput, plan } from "@stillpoint/contracts/plan";
import { expect, test } from "vitest";
import { checkPlan, warningsOf } from "../src/check-plan.ts";

function issues(rest: Partial<PlanInput>): string[] {
  const parsed = plan.parse({ sources: { config: { kind: "files", paths: ["/etc/app"] } }, ...rest });
  return checkPlan(parsed).map(({ why }) => why);
}
const scheduled = (rpo: string, schedule: PlanInput["schedule"], timeZone = "UTC") =>
  issues({ objectives: { rpo }, schedule, timeZone });

test("the longest gap decides, not the usual one", () => {
  const workHours = [{ name: "work", cron: "0 9-17 * * 1-5" }];
  expect(scheduled("1h", workHours)).toEqual([expect.stringContaining("leaves 16h between two points")]);
  expect(scheduled("16h", workHours)).toEqual([expect.stringContaining("leaves 64h between two points")]);
  expect(scheduled("64h", workHours)).toEqual([]);
});

test("entries count together", () => {
  const twice = [
    { name: "early", cron: "0 2 * * *" },
    { name: "late", cron: "0 14 * * *" },
  ];
  expect(scheduled("12h", twice)).toEqual([]);
  expect(scheduled("11h", twice)).toHaveLength(1);
  expect(scheduled("12h", twice.slice(1))).toHaveLength(1);
  expect(scheduled("5m", ["monthly", "every 5m"])).toEqual([]);
});

test("a daily point keeps an RPO of a day, also on the day of 25 hours", () => {
  expect(scheduled("1d", ["daily"], "Europe/Berlin")).toEqual([]);
  expect(scheduled("1d", ["weekly"])).toEqual([expect.stringContaining("leaves 7d")]);
  expect(scheduled("31d", ["monthly"])).toEqual([]);
  expect(scheduled("30d", ["monthly"])).toEqual([expect.stringContaining("leaves 31d")]);
});

test("a schedule that cannot be read, and names that lead nowhere, are named", () => {
  expect(scheduled("1h", [{ name: "odd", cron: "61 * * * *" }])).toHaveLength(1);
  expect(scheduled("1h", ["every 5m"], "Mars/Olympus")).toEqual([]);
  expect(scheduled("1d", ["daily"], "Mars/Olympus")).toEqual([expect.stringContaining("is no time zone")]);
  expect(issues({ optional: ["graph"] })).toEqual(["there is no source graph; there are config"]);
  expect(issues({ checks: [{ sequence: ["config.a#seq", "graph.Entity.seq"] }] })).toHaveLength(1);
});

test("what is accepted with a reservation says so", () => {
  const parsed = plan.parse({ sources: { config: { kind: "files", paths: ["/etc/app"] } }, permitEgress: true });
  expect(warningsOf(parsed)).toEqual([
    expect.stringContaining("no schedule"),
    expect.stringContaining("mode align"),
    expect.stringContaining("permitEgress"),
  ]);
});
