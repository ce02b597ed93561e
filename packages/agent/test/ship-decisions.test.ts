import type { PlanRevision } from "@stillpoint/contracts/state";
import { planRevision } from "@stillpoint/contracts/state";
import { describe, expect, it, test } from "vitest";
import { lagClock } from "../src/shipping/lag.ts";
import { newsOf, pauseMs, triesOf } from "../src/shipping/patience.ts";
import { wantedOf } from "../src/shipping/wanted.ts";

const at = (offset: number, stream = "1") => ({ stream, at: String(offset).padStart(4, "0") });

describe("the lag of a log", () => {
  it("is the age of the oldest thing that is not held, under steady writes too", () => {
    let now = 0;
    const lag = lagClock(() => now);
    lag.seen({ held: at(0), server: at(10) });
    now = 5_000;
    lag.seen({ held: at(0), server: at(20) });
    expect(lag.lagMs()).toBe(5_000);
    lag.seen({ held: at(10), server: at(30) });
    expect(lag.lagMs()).toBe(0);
    now = 12_000;
    expect(lag.lagMs()).toBe(7_000);
    lag.seen({ held: at(30), server: at(30) });
    expect(lag.lagMs()).toBe(0);
    now = 100_000;
    lag.seen({ held: at(30), server: at(30) });
    expect(lag.lagMs()).toBe(0);
  });

  it("goes on over a new stream, whose positions compare with nothing before", () => {
    let now = 0;
    const lag = lagClock(() => now);
    lag.seen({ held: at(90), server: at(95) });
    now = 1_000;
    lag.seen({ held: at(90), server: at(2, "2") });
    now = 3_000;
    expect(lag.lagMs()).toBe(3_000);
    lag.seen({ held: at(1, "2"), server: at(2, "2") });
    expect(lag.lagMs()).toBe(2_000);
    lag.seen({ held: at(2, "2"), server: at(2, "2") });
    expect(lag.lagMs()).toBe(0);
  });

  it("is told of however long nothing is held", () => {
    let now = 0;
    const lag = lagClock(() => now);
    for (; now < 100_000; now += 10) lag.seen({ held: at(0), server: at(now / 10 + 1) });
    expect(lag.lagMs()).toBe(100_000);
    lag.seen({ held: at(5_000), server: at(9_999) });
    expect(lag.lagMs()).toBeGreaterThan(40_000);
    expect(lag.lagMs()).toBeLessThanOrEqual(50_000);
  });
});

function planWith(sources: unknown): PlanRevision {
  const definition = { sources };
  return planRevision.parse({
    plan: "shop",
    revision: "a".repeat(64),
    definition,
    acceptedAt: "2026-01-01T00:00:00.000Z",
  });
}

test("a source's log is wanted by its plan, kind and site, and else the reason is told", () => {
  const orders = { kind: "postgres", url: "postgres://backup@db/orders" };
  const asked = { source: "orders", kind: "postgres", site: "default" } as const;
  expect(wantedOf(planWith({ orders }), asked)).toMatchObject({ isWanted: true, settings: { flushMs: 5_000 } });
  const end = (sources: unknown) => wantedOf(planWith(sources), asked);
  const not = (why: RegExp, letsGo: boolean) => ({ isWanted: false, why: expect.stringMatching(why), letsGo });
  expect(end({ other: orders })).toEqual(not(/does not have it/, true));
  expect(end({ orders: { ...orders, ship: "off" } })).toEqual(not(/wants no log/, true));
  expect(end({ orders: { kind: "sqlite", path: "/a.db" } })).toEqual(not(/kind sqlite/, true));
  expect(wantedOf("deleted", asked)).toEqual(not(/was deleted/, true));
  // What the source keeps is another's now, or may be wanted again.
  expect(end({ orders: { ...orders, at: "site-b" } })).toEqual(not(/at site-b/, false));
  expect(wantedOf(undefined, asked)).toEqual(not(/no such plan/, false));
});

describe("tries", () => {
  it("are some seconds apart at last, and not those of others", () => {
    expect([1, 2, 3, 7, 40].map((attempt) => pauseMs(attempt, 0.5))).toEqual([1_000, 2_000, 4_000, 4_000, 4_000]);
    expect(pauseMs(1, 0)).toBeLessThan(pauseMs(1, 0.99));
  });

  it.each([1_000, 13_000, 47_000])(
    "go on within seconds of a server's return, down for %i ms ever so often",
    (downMs) => {
      let now = 0;
      const tries = triesOf(
        () => now,
        (attempt) => pauseMs(attempt, 0.99),
      );
      const waited = Array.from({ length: 50 }, () => {
        const upMs = now + downMs;
        let isFirst = true;
        while (now < upMs) {
          const { attempt, againInMs } = tries.failed();
          if (isFirst) expect(attempt).toBe(1);
          isFirst = false;
          now += againInMs;
        }
        const sinceMs = now - upMs;
        tries.flows();
        now += 15_000;
        return sinceMs;
      });
      expect(Math.max(...waited)).toBeLessThanOrEqual(5_000);
    },
  );

  it("are not every second for ever where each begins well and fails at once", () => {
    const tries = triesOf(
      () => 0,
      (attempt) => pauseMs(attempt, 0.5),
    );
    const failed = () => {
      tries.flows();
      return tries.failed();
    };
    expect([failed(), failed(), failed()].map(({ againInMs }) => againInMs)).toEqual([1_000, 2_000, 4_000]);
  });

  it("are told at first, and once a minute then", () => {
    let now = 0;
    const isNews = newsOf(() => now);
    const told = Array.from({ length: 50 }, (_, at) => {
      now += 4_000;
      return isNews(at + 1) ? [at + 1] : [];
    });
    expect(told.flat()).toEqual([1, 2, 3, 4, 19, 34, 49]);
  });
});
