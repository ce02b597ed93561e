import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { FLUSH, flushLog } from "@stillpoint/contracts/flush";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultLog } from "@stillpoint/contracts/vault";
import { testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { flushAsker } from "../src/ask-flush.ts";
import { findStanding, mayBeHeld, mayGoOn } from "../src/find-standing.ts";

const HOUR_MS = 3_600_000;
const resources = new AsyncDisposableStack();
let bus: Awaited<ReturnType<typeof testBus>>;
let leases: Awaited<ReturnType<typeof bus.bucket<typeof BUCKETS.leases>>>;
let nowMs = 0;
let plan = "";
const source = "orders";
const clock = { now: Date.now, monotonicMs: () => nowMs };
const asker = () => flushAsker({ bus, leases, clock }, { plan, source });
const leased = (hears?: string[]) =>
  leases.put(`ship.${plan}.${source}`, {
    owner: "sqlite-1",
    since: new Date().toISOString(),
    ...(hears === undefined ? {} : { hears }),
  });

beforeAll(async () => {
  bus = resources.use(await testBus(resources.use(await ownNats())));
  leases = await bus.bucket(BUCKETS.leases);
});
beforeEach(() => {
  plan = `plan-${randomUUID().slice(0, 8)}`;
});
afterAll(() => resources.disposeAsync());

describe("who is asked to flush a log", () => {
  it("is asked once in a while, and says so at once", async () => {
    let asked = 0;
    await using _answering = await bus.answer(flushLog, { parameters: { plan, source } }, async () => {
      asked += 1;
      return { asked: true as const };
    });
    const ask = asker();
    for (const atMs of [0, 100, 4_900]) {
      nowMs = atMs;
      expect(await ask()).toEqual({ by: "shipper" });
    }
    expect(asked).toBe(1);
    nowMs = 5_000;
    await ask();
    expect(asked).toBe(2);
  });

  it.each([
    ["a lease of nobody", () => leases.delete(`ship.${plan}.${source}`)],
    ["a lease whose owner would answer", () => leased([FLUSH])],
  ])("is nobody, by %s, until another takes the log over", async (_, lease) => {
    await lease();
    const ask = asker();
    nowMs = 1_000;
    expect(await ask()).toEqual({ by: "nobody", forMs: 0 });
    nowMs = 3_000;
    expect(await ask()).toEqual({ by: "nobody", forMs: 2_000 });
    await using _answering = await bus.answer(flushLog, { parameters: { plan, source } }, async () => ({
      asked: true as const,
    }));
    expect(await ask()).toEqual({ by: "shipper" });
  });

  it("is not known where its lease is of one that may never have heard of this", async () => {
    await leased();
    expect(await asker()()).toEqual({ by: "unknown" });
  });
});

describe("a capture that waits for the log", () => {
  it("waits for two flushes where it cannot ask, and not for one where it can", () => {
    const flushMs = HOUR_MS;
    const waits = (waitedMs: number) => ({ waitedMs, flushMs, standsMs: waitedMs });
    expect(mayBeHeld({ by: "unknown" }, waits(2 * HOUR_MS))).toBe(true);
    expect(mayBeHeld({ by: "unknown" }, waits(2 * HOUR_MS + 15_001))).toBe(false);
    expect(mayBeHeld({ by: "shipper" }, waits(30_000))).toBe(true);
    expect(mayBeHeld({ by: "shipper" }, waits(30_001))).toBe(false);
    expect(mayGoOn({ by: "unknown" }, waits(2 * HOUR_MS + 60_000))).toBe(true);
    expect(mayGoOn({ by: "shipper" }, waits(60_001))).toBe(false);
  });

  it("of a log that nobody ships is left a moment for another shipper, and no more", () => {
    const waits = { waitedMs: 0, flushMs: HOUR_MS, standsMs: 59_000 };
    expect(mayBeHeld({ by: "nobody", forMs: 5_000 }, waits)).toBe(true);
    expect(mayBeHeld({ by: "nobody", forMs: 5_001 }, waits)).toBe(false);
    // A base would be made again; whoever takes the lease over when it has run out goes on in that time.
    expect(mayGoOn({ by: "nobody", forMs: 50_000 }, waits)).toBe(true);
    expect(mayGoOn({ by: "nobody", forMs: 50_000 }, { ...waits, standsMs: 60_001 })).toBe(false);
  });

  const standing = async () => {
    const runs = await bus.bucket(BUCKETS.runs);
    const at = { stream: "1", at: "5" };
    let held = at;
    const answering = await bus.answer(vaultLog, {}, async ({ body }) => ({
      plan: body.plan,
      source: body.source,
      windows: [],
      holes: [],
      held,
      baseServes: true,
      replay: { base: "b", bytes: 1, storedAt: new Date().toISOString(), logBytes: 0, mayBeSealed: true },
      ...(body.reach === undefined || body.reach.place.at > held.at ? {} : { reaches: { logBytes: 7 } }),
      damaged: [],
    }));
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    // Ten times as fast, so that what takes seconds is soon over.
    const ticking = { now: Date.now, monotonicMs: () => performance.now() * 10 };
    const spec = { kind: "sqlite" as const, at: "default", path: "/a.db", ship: { flush: "1h", retain: "4GiB" } };
    const found = await findStanding(
      { context: { bus, clock: ticking, log }, driver: { ship: async () => undefined }, buckets: { runs, leases } },
      { runId: randomUUID(), plan, source, spec },
      new AbortController().signal,
    );
    if (found === undefined) throw new Error("no base serves");
    return {
      found,
      flush: () => {
        held = { stream: "1", at: "6" };
      },
      [Symbol.asyncDispose]: () => answering[Symbol.asyncDispose](),
    };
  };

  it("has it at once from a shipper whose next flush is an hour away", async () => {
    await leased([FLUSH]);
    await using log = await standing();
    await using _answering = await bus.answer(flushLog, { parameters: { plan, source } }, async () => {
      log.flush();
      return { asked: true as const };
    });
    const place = { stream: "1", at: "6" };
    expect(await log.found.reached(place, { doing: "log", bytes: 0 })).toEqual({ logBytes: 7 });
  });

  it("has none of a shipper that is dead, long before its flushes would have come", async () => {
    await leased([FLUSH]);
    await using log = await standing();
    expect(await log.found.heldPlace(async () => false)).toBeUndefined();
  });

  it("is not given up in the moment between one shipper and the next", async () => {
    await leased([FLUSH]);
    await using log = await standing();
    const held = log.found.heldPlace(async ({ at }) => at === "6");
    await wait(200);
    await using _answering = await bus.answer(flushLog, { parameters: { plan, source } }, async () => {
      log.flush();
      return { asked: true as const };
    });
    expect(await held).toEqual({ stream: "1", at: "6" });
  });
});
