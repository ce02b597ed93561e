import type { Notice } from "@stillpoint/contracts/alerts";
import { describe, expect, test } from "vitest";
import { type Kept, planDeliveries, retryAfter } from "../src/outbox.ts";

const NOW = Date.parse("2026-03-03T12:00:00.000Z");
const ago = (ms: number) => new Date(NOW - ms).toISOString();
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function kept(condition: string, sequence: number, rest: Partial<Notice> = {}): Kept {
  const notice: Notice = {
    condition,
    sequence,
    kind: "opened",
    severity: "warning",
    title: "t",
    detail: "d",
    at: ago(MINUTE_MS),
    writtenAt: ago(MINUTE_MS),
    delivered: [],
    attempts: 0,
    ...rest,
  };
  return { key: `${condition}.${sequence}`, notice, revision: sequence };
}
const keys = (all: readonly Kept[]) => all.map(({ key }) => key);

describe("what is sent", () => {
  test("of each condition the oldest notice, of several conditions all", () => {
    const plan = planDeliveries(
      [kept("run.shop", 9, { kind: "resolved" }), kept("run.blog", 7), kept("run.shop", 5)],
      NOW,
    );
    expect(keys(plan.send).toSorted()).toEqual(["run.blog.7", "run.shop.5"]);
    expect(plan.drop).toEqual([]);
  });

  test("nothing before its time, nor what is behind it", () => {
    const waiting = kept("run.shop", 5, { attempts: 1, retryAt: new Date(NOW + 1).toISOString() });
    expect(planDeliveries([waiting, kept("run.shop", 9, { kind: "resolved" })], NOW).send).toEqual([]);
    expect(keys(planDeliveries([waiting], NOW + 1).send)).toEqual(["run.shop.5"]);
  });
});

describe("what is dropped", () => {
  test("trouble that came and went long ago and that nobody heard of", () => {
    const past = { at: ago(2 * DAY_MS) };
    const plan = planDeliveries([kept("run.shop", 5, past), kept("run.shop", 9, { ...past, kind: "resolved" })], NOW);
    expect(plan.send).toEqual([]);
    expect(keys(plan.drop.map((one) => one.kept))).toEqual(["run.shop.5", "run.shop.9"]);
  });

  test("not trouble of long ago that is there still, nor an end whose beginning was told", () => {
    const past = { at: ago(2 * DAY_MS) };
    expect(keys(planDeliveries([kept("run.shop", 5, past)], NOW).send)).toEqual(["run.shop.5"]);
    const half = [
      kept("run.shop", 5, { ...past, delivered: ["c1"], attempts: 3 }),
      kept("run.shop", 9, { ...past, kind: "resolved" }),
    ];
    expect(planDeliveries(half, NOW).drop).toEqual([]);
  });

  test("what could not be delivered for three days", () => {
    const plan = planDeliveries([kept("run.shop", 5, { writtenAt: ago(3 * DAY_MS + 1), attempts: 400 })], NOW);
    expect(plan.drop).toMatchObject([{ why: "could not be delivered for days" }]);
  });
});

test("tries come less and less often, at most ten minutes apart, and never before the channel's own word", () => {
  expect([1, 2, 3, 20, 1_000].map((attempts) => retryAfter(attempts, 2_000, undefined))).toEqual([
    2_000, 4_000, 8_000, 600_000, 600_000,
  ]);
  expect(retryAfter(1, 2_000, 30_000)).toBe(30_000);
});
