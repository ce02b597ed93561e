import { BUCKETS } from "@stillpoint/contracts/topology";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bus } from "../src/bus.ts";
import { type Nats, testBus, testNats, until } from "./fixture.ts";

/** A process that stands still for four fifths of it loses its leases. */
const TTL_MS = 3_000;
let nats: Nats;
let bus: Bus;
beforeAll(async () => {
  nats = await testNats();
  bus = await testBus(nats.server, { leaseTtlMs: TTL_MS });
});
afterAll(async () => {
  await bus[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

test("one holds it, nobody else gets it, and after the release the next token is higher", async () => {
  const first = await bus.acquireLease("run.a", "one");
  expect(first).toBeDefined();
  expect(await bus.acquireLease("run.a", "two")).toBeUndefined();
  await first?.release();
  await using second = await bus.acquireLease("run.a", "two");
  expect(second?.fenceToken).toBeGreaterThan(first?.fenceToken ?? Number.POSITIVE_INFINITY);
  expect(first?.lost.aborted).toBe(false);
});

test("of many who ask at once one gets it", async () => {
  const asked = await Promise.all(Array.from({ length: 10 }, (_, at) => bus.acquireLease("run.crowd", `owner-${at}`)));
  expect(asked.filter((lease) => lease !== undefined)).toHaveLength(1);
  await Promise.all(asked.map((lease) => lease?.release()));
});

test("it is held beyond its time by renewals, which carry the token of the claim", async () => {
  await using lease = await bus.acquireLease("run.long", "one", { renewEveryMs: 250 });
  const leases = await bus.bucket(BUCKETS.leases);
  const renewals = new Set<number>();
  await until("renewed for longer than its time", async () => {
    const entry = await leases.get("run.long");
    if (entry === undefined) throw new Error("the lease ran out");
    renewals.add(entry.revision);
    if (renewals.size > 1) expect(entry.value.fenceToken).toBe(lease?.fenceToken);
    return renewals.size > (1.5 * TTL_MS) / 250;
  });
  expect(lease?.lost.aborted).toBe(false);
});

test("a holder that was killed is followed by another with a higher token", async () => {
  const killed = await testBus(nats.server, { leaseTtlMs: TTL_MS });
  const first = await killed.acquireLease("run.killed", "one");
  await killed[Symbol.asyncDispose](); // as a killed process: no renewal, no release
  expect(await bus.acquireLease("run.killed", "two")).toBeUndefined();
  let second = await bus.acquireLease("run.killed", "two");
  await until("it ran out", async () => {
    second ??= await bus.acquireLease("run.killed", "two");
    return second !== undefined;
  });
  expect(second?.fenceToken).toBeGreaterThan(first?.fenceToken ?? Number.POSITIVE_INFINITY);
  await until("the first one knows", () => first?.lost.aborted === true);
  expect(first?.lost.reason).toMatchObject({ code: "LEASE_LOST" });
  await second?.release();
});

test("a watcher is told when a lease runs out", async () => {
  const leases = await bus.bucket(BUCKETS.leases);
  await leases.put("capture.shop.orders", { owner: "one", since: "2026-01-02T03:04:05.006Z" });
  const seen: string[] = [];
  for await (const change of leases.watch("capture.shop.*", AbortSignal.timeout(60_000))) {
    seen.push(change.type);
    if (change.type === "deleted") break;
  }
  expect(seen).toEqual(["put", "current", "deleted"]);
});

test("a lease that was taken away is lost at the next renewal, and its release does not touch the thief's", async () => {
  const mine = await bus.acquireLease("run.stolen", "one");
  const leases = await bus.bucket(BUCKETS.leases);
  await leases.put("run.stolen", { owner: "thief", since: "2026-01-02T03:04:05.006Z" });
  await until("lost", () => mine?.lost.aborted === true);
  expect(mine?.lost.reason).toMatchObject({ why: "thief has it" });
  await mine?.release();
  expect((await leases.get("run.stolen"))?.value.owner).toBe("thief");
  await leases.delete("run.stolen");
});

test("through a short restart of the server a lease is kept; when the server stays away it is given up in time", async () => {
  await using own = await testNats();
  await using holder = await testBus(own.server, { leaseTtlMs: 2 * TTL_MS });
  const lease = await holder.acquireLease("run.restart", "one", { renewEveryMs: 200 });
  const leases = await holder.bucket(BUCKETS.leases);
  await own.server.restart();
  const before = (await leases.get("run.restart"))?.revision ?? 0;
  await until("renewed after the restart", async () => ((await leases.get("run.restart"))?.revision ?? 0) > before);
  expect(lease?.lost.aborted).toBe(false);
  await own.server.stop();
  await until("given up without a server", () => lease?.lost.aborted === true);
  await own.server.restart();
  await until("free for another, with a higher token", async () => {
    const next = await holder.acquireLease("run.restart", "two");
    if (next === undefined) return false;
    expect(next.fenceToken).toBeGreaterThan(lease?.fenceToken ?? Number.POSITIVE_INFINITY);
    await next.release();
    return true;
  });
});
