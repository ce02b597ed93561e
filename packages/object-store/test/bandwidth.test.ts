import { describe, expect, it } from "vitest";
import { withBandwidthLimit } from "../src/bandwidth-limit.ts";
import { type BandwidthSchedule, bytesPerSecondAt, WEEKDAYS } from "../src/bandwidth-schedule.ts";
import { withFaults } from "../src/faults.ts";
import { memoryStore } from "../src/memory.ts";
import { tokenBucket } from "../src/token-bucket.ts";
import { codeOf, conformsTo } from "./conformance.ts";

const schedule: BandwidthSchedule = {
  timeZone: "Europe/Berlin",
  bytesPerSecond: 100,
  windows: [
    { days: ["mon", "tue", "wed", "thu", "fri"], fromMinute: 8 * 60, toMinute: 18 * 60, bytesPerSecond: 10 },
    { days: ["fri"], fromMinute: 22 * 60, toMinute: 6 * 60, bytesPerSecond: 1_000 },
    { days: ["sun"], fromMinute: 0, toMinute: 24 * 60, bytesPerSecond: 5 },
  ],
};
const at = (time: string) => bytesPerSecondAt(schedule, Date.parse(time));

describe("a bandwidth schedule", () => {
  it("goes by the wall clock of its time zone, in summer and in winter", () => {
    // A Wednesday: 8:00 in Berlin is 6:00 UTC in July and 7:00 UTC in January.
    expect([at("2026-07-15T05:59:59Z"), at("2026-07-15T06:00:00Z"), at("2026-07-15T15:59:59Z")]).toEqual([100, 10, 10]);
    expect([at("2026-01-14T06:59:59Z"), at("2026-01-14T07:00:00Z"), at("2026-01-14T17:00:00Z")]).toEqual([
      100, 10, 100,
    ]);
  });

  it("has a window that goes on past midnight belong to the day on which it begins", () => {
    expect([at("2026-01-16T20:59:59Z"), at("2026-01-16T21:00:00Z")]).toEqual([100, 1_000]);
    expect([at("2026-01-17T04:59:59Z"), at("2026-01-17T05:00:00Z")]).toEqual([1_000, 100]);
    // The night before a Friday is a Thursday's.
    expect(at("2026-01-16T02:00:00Z")).toBe(100);
  });

  it("has a window from 0:00 to 24:00 be that day and no other", () => {
    expect([at("2026-01-17T22:59:59Z"), at("2026-01-17T23:00:00Z")]).toEqual([100, 5]);
    expect([at("2026-01-18T22:59:59Z"), at("2026-01-18T23:00:00Z")]).toEqual([5, 100]);
  });

  it("without a rate of its own limits nothing outside its windows", () => {
    expect(bytesPerSecondAt({ timeZone: "UTC", windows: [] }, 0)).toBe(Number.POSITIVE_INFINITY);
  });
});

/** A clock that only sleeping moves. */
function sleeper() {
  let nowMs = Date.UTC(2026, 0, 14);
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => nowMs,
    set: (ms: number) => {
      nowMs = ms;
    },
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      sleeps.push(ms);
      nowMs += ms;
    },
  };
}

describe("a token bucket", () => {
  it("lets one body go and the next wait until it is paid for", async () => {
    const clock = sleeper();
    const bucket = tokenBucket({ bytesPerSecondAt: () => 1_000, ...clock });
    const begun = clock.now();
    for (let i = 0; i < 5; i++) await bucket.take(2_000);
    expect(clock.now() - begun).toBe(8_000);
  });

  it("gathers no more than a second's worth while nobody asks", async () => {
    const clock = sleeper();
    const bucket = tokenBucket({ bytesPerSecondAt: () => 1_000, ...clock });
    clock.set(clock.now() + 3_600_000);
    await bucket.take(1_000);
    await bucket.take(1_000);
    expect(clock.sleeps).toEqual([]);
    await bucket.take(1);
    expect(clock.sleeps).toEqual([1_000]);
  });

  it("notices that the rate has changed while somebody waits", async () => {
    const clock = sleeper();
    const changesAt = clock.now() + 60_000;
    const bucket = tokenBucket({ bytesPerSecondAt: (ms) => (ms < changesAt ? 1 : 1_000_000), ...clock });
    const begun = clock.now();
    await bucket.take(1_000_000);
    await bucket.take(1);
    expect(clock.now() - begun).toBeLessThan(120_000);
  });

  it("serves in the order of asking, and one that gives up costs nothing", async () => {
    const clock = sleeper();
    const bucket = tokenBucket({ bytesPerSecondAt: () => 1_000, ...clock });
    const order: string[] = [];
    const take = (name: string, signal?: AbortSignal) =>
      bucket.take(1_000, signal).then(
        () => order.push(name),
        () => order.push(`${name} gave up`),
      );
    await Promise.all([take("a"), take("b", AbortSignal.abort()), take("c")]);
    expect(order).toEqual(["b gave up", "a", "c"]);
    expect(clock.sleeps).toEqual([1_000]);
  });

  it("lets who gives up go at once, however long those before have to wait", async () => {
    const clock = { now: () => 0, sleep: () => new Promise<void>(() => undefined) };
    const bucket = tokenBucket({ bytesPerSecondAt: () => 1, ...clock });
    await bucket.take(1_000_000);
    const waiting = bucket.take(1);
    const stop = new AbortController();
    const behind = bucket.take(1, stop.signal);
    stop.abort(new Error("enough"));
    await expect(behind).rejects.toThrow("enough");
    await expect(Promise.race([waiting, Promise.resolve("still waiting")])).resolves.toBe("still waiting");
  });

  it("survives a clock that is set back", async () => {
    const clock = sleeper();
    const bucket = tokenBucket({ bytesPerSecondAt: () => 1_000, ...clock });
    await bucket.take(2_000);
    clock.set(clock.now() - 86_400_000);
    await bucket.take(1);
    expect(clock.sleeps).toEqual([2_000]);
  });
});

describe("a bandwidth limit", () => {
  const everSlow = (bytesPerSecond: number) => ({ timeZone: "UTC", bytesPerSecond, windows: [] });

  it("counts uploads and downloads apart, a range by what it gave, and lets requests without a body pass", async () => {
    const clock = sleeper();
    const limit = { upload: everSlow(1_000), download: everSlow(10_000), ...clock };
    const store = withBandwidthLimit(memoryStore(clock.now), limit);
    const begun = clock.now();
    await store.put("a", [Buffer.alloc(4_000), Buffer.alloc(1_000)]);
    await store.head("a");
    await store.get("a", { offset: 0, length: 1_000_000 });
    expect(clock.sleeps).toEqual([]);
    await store.get("a");
    await store.get("a");
    expect(clock.now() - begun).toBe(1_000);
    await store.put("b", Buffer.alloc(1));
    expect(clock.now() - begun).toBe(5_000);
  });

  it("passes failures on, and counts what was sent for nothing", async () => {
    const clock = sleeper();
    const faulty = withFaults(memoryStore(clock.now));
    faulty.add("put", { fault: "outOfSpace" });
    const store = withBandwidthLimit(faulty.store, { upload: everSlow(1_000), ...clock });
    expect(await codeOf(store.put("a", Buffer.alloc(2_000)))).toBe("DISK_FULL");
    await store.put("b", Buffer.alloc(1));
    expect(clock.sleeps).toEqual([2_000]);
    faulty.assertAllMet();
  });
});

conformsTo("memory behind a bandwidth limit", async () => {
  const all = { timeZone: "UTC", windows: [{ days: WEEKDAYS, fromMinute: 0, toMinute: 1440, bytesPerSecond: 1e6 }] };
  const sleep = async () => undefined;
  let nowMs = Date.now();
  const now = () => (nowMs += 1_000);
  const limit = { upload: all, download: all, now, sleep };
  return { store: withBandwidthLimit(memoryStore(Date.now), limit), end: async () => undefined };
});
