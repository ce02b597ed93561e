import { randomUUID } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { StillpointError } from "@stillpoint/contracts/errors";
import { captureRefused, planAccepted, progress, runFailed, runStarted } from "@stillpoint/contracts/events";
import { afterAll, beforeAll, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import type { Bus } from "../src/bus.ts";
import { on } from "../src/project.ts";
import { type Nats, testBus, testNats, until } from "./fixture.ts";

let nats: Nats;
let bus: Bus;
beforeAll(async () => {
  nats = await testNats();
  bus = await testBus(nats.server);
});
afterAll(async () => {
  await bus[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const AT = "2026-01-02T03:04:05.006Z";
const accepted = (plan: string) => ({ plan, revision: "b".repeat(64), at: AT });
const refused = (runId: string, source: string, fenceToken: number) => ({
  runId,
  plan: "shop",
  source,
  at: AT,
  fenceToken,
  error: new StillpointError("SOURCE_UNREACHABLE", { what: "not there" }).toBody(),
});
let after = 0;
beforeEach(async () => {
  after = await bus.lastEventSequence();
});

describe("publishing", () => {
  test("a fact told twice is one fact, and one with another body is another", async () => {
    const first = await bus.publishEvent(planAccepted, { plan: "one" }, accepted("one"));
    const again = await bus.publishEvent(planAccepted, { plan: "one" }, accepted("one"));
    const other = await bus.publishEvent(
      planAccepted,
      { plan: "one" },
      { ...accepted("one"), revision: "c".repeat(64) },
    );
    expect(again.sequence).toBe(first.sequence);
    expect(other.sequence).toBeGreaterThan(first.sequence);
  });

  test("a key of its own makes two tellings one, whatever their bodies", async () => {
    const first = await bus.publishEvent(planAccepted, { plan: "two" }, accepted("two"), { key: "k" });
    const second = await bus.publishEvent(
      planAccepted,
      { plan: "two" },
      { ...accepted("two"), at: "2027-01-02T03:04:05.006Z" },
      { key: "k" },
    );
    expect(second.sequence).toBe(first.sequence);
  });

  test("a message is a CloudEvent in binary mode: attributes in headers, the data as the body", async () => {
    const raw = await connect({ servers: nats.server.url });
    const heard = (async () => {
      for await (const message of raw.subscribe("stillpoint.v1.evt.plan.three.accepted", { max: 1 })) return message;
      return undefined;
    })();
    await raw.flush();
    await bus.publishEvent(planAccepted, { plan: "three" }, accepted("three"));
    const message = await heard;
    expect(message?.json()).toEqual(accepted("three"));
    expect(message?.headers?.get("ce-specversion")).toBe("1.0");
    expect(message?.headers?.get("ce-type")).toBe("stillpoint.v1.evt.plan.accepted");
    expect(message?.headers?.get("ce-source")).toBe("/stillpoint/test");
    expect(message?.headers?.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    await raw.close();
  });
});

describe("following", () => {
  test("one run's events from its first on, typed by their subject, and what comes later too", async () => {
    const [run, other] = [randomUUID(), randomUUID()];
    await bus.publishEvent(captureRefused, { runId: other, source: "orders" }, refused(other, "orders", 1));
    await bus.publishEvent(captureRefused, { runId: run, source: "orders" }, refused(run, "orders", 7));
    const ended = new AbortController();
    const seen: string[] = [];
    for await (const fact of bus.followEvents([captureRefused], {
      parameters: { runId: run },
      after,
      signal: ended.signal,
    })) {
      if (fact.type === "current") {
        seen.push("current");
        await bus.publishEvent(captureRefused, { runId: run, source: "graph" }, refused(run, "graph", 8));
      } else {
        expectTypeOf(fact.body.fenceToken).toEqualTypeOf<number>();
        seen.push(`${fact.parameters.source} ${fact.body.fenceToken}`);
        if (fact.parameters.source === "graph") ended.abort();
      }
    }
    expect(seen).toEqual(["orders 7", "current", "graph 8"]);
  });

  test("a follower goes on without gap or repetition after the server came back", async () => {
    await using own = await testNats();
    await using ownBus = await testBus(own.server);
    const plans = Array.from({ length: 6 }, (_, at) => `p${at}`);
    const ended = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const fact of ownBus.followEvents([planAccepted], { signal: ended.signal })) {
        if (fact.type !== "current") seen.push(fact.body.plan);
        if (seen.length === plans.length) ended.abort();
      }
    })();
    for (const plan of plans.slice(0, 3)) await ownBus.publishEvent(planAccepted, { plan }, accepted(plan));
    await until("the first were seen", () => seen.length === 3);
    await own.server.kill();
    await own.server.restart();
    for (const plan of plans.slice(3)) await ownBus.publishEvent(planAccepted, { plan }, accepted(plan));
    await following;
    expect(seen).toEqual(plans);
  });
});

describe("projecting", () => {
  const failed = (runId: string, what: string) => ({
    runId,
    plan: "shop",
    pointId: randomUUID(),
    at: AT,
    error: new StillpointError("INTERNAL", { what }).toBody(),
  });

  test("every event in order, to one of two replicas, also while the handler fails now and then", async () => {
    await using own = await testNats();
    await using first = await testBus(own.server);
    await using second = await testBus(own.server);
    const seen: string[] = [];
    let calls = 0;
    const handle = async ({ body }: { body: { plan: string } }) => {
      calls += 1;
      if (calls === 4) throw new StillpointError("UNREACHABLE", { what: "the table is locked" });
      seen.push(body.plan);
    };
    await using _a = await first.projectEvents("catalog", [on(planAccepted, handle)]);
    await using _b = await second.projectEvents("catalog", [on(planAccepted, handle)]);
    const plans = Array.from({ length: 12 }, (_, at) => `p${at}`);
    for (const plan of plans) await first.publishEvent(planAccepted, { plan }, accepted(plan));
    await until("all seen", () => seen.length === plans.length);
    expect(seen).toEqual(plans);
  });

  test("goes on behind the last handled event after a stop, and through a restart of the server", async () => {
    await using own = await testNats();
    await using ownBus = await testBus(own.server);
    const seen: string[] = [];
    const bindings = [
      on(planAccepted, async ({ body }) => void seen.push(`accepted ${body.plan}`)),
      on(runFailed, async ({ body }) => void seen.push(`failed ${body.error.what}`)),
    ];
    const before = await ownBus.projectEvents("alerting", bindings);
    await ownBus.publishEvent(planAccepted, { plan: "a" }, accepted("a"));
    await until("first seen", () => seen.length === 1);
    await before[Symbol.asyncDispose]();
    const runId = randomUUID();
    await ownBus.publishEvent(runFailed, { runId }, failed(runId, "disk"));
    // Not asked for: no binding, no delivery.
    await ownBus.publishEvent(
      runStarted,
      { runId },
      {
        runId,
        plan: "a",
        pointId: randomUUID(),
        at: AT,
        revision: "b".repeat(64),
        entries: [],
        requestedBy: "person",
      },
    );
    await using _after = await ownBus.projectEvents("alerting", bindings);
    await until("second seen", () => seen.length === 2);
    await own.server.restart();
    await ownBus.publishEvent(planAccepted, { plan: "b" }, accepted("b"));
    await until("third seen", () => seen.length === 3);
    expect(seen).toEqual(["accepted a", "failed disk", "accepted b"]);
  });

  test("an event that can never be handled is buried, and the next one comes", async () => {
    await using own = await testNats();
    await using ownBus = await testBus(own.server);
    const seen: string[] = [];
    await using _p = await ownBus.projectEvents("catalog", [
      on(planAccepted, async ({ body }) => {
        if (body.plan === "bad") throw new StillpointError("FORMAT_UNKNOWN", { what: "no such column" });
        seen.push(body.plan);
      }),
    ]);
    for (const plan of ["bad", "good"]) await ownBus.publishEvent(planAccepted, { plan }, accepted(plan));
    await until("the next came", () => seen.length === 1);
    expect(seen).toEqual(["good"]);
    expect(await ownBus.listDeadLetters({ limit: 5 })).toMatchObject([
      { stream: "EVT", durable: "catalog", error: { code: "FORMAT_UNKNOWN" } },
    ]);
  });

  test("dead letters are projected, the server's own notice of one is not a second", async () => {
    await using own = await testNats();
    await using ownBus = await testBus(own.server);
    await using _p = await ownBus.projectEvents("catalog", [
      on(planAccepted, async () => {
        throw new StillpointError("FORMAT_UNKNOWN", { what: "no such column" });
      }),
    ]);
    const letters: string[] = [];
    await using _d = await ownBus.projectDeadLetters(
      "alerting-dead",
      async (letter) => void letters.push(letter.subject),
    );
    for (const plan of ["x", "y"]) await ownBus.publishEvent(planAccepted, { plan }, accepted(plan));
    await until("both told", () => letters.length >= 2);
    expect(letters).toEqual(["stillpoint.v1.evt.plan.x.accepted", "stillpoint.v1.evt.plan.y.accepted"]);
  });
});

test("a signal reaches who listens, and nobody who did not", async () => {
  const heard: number[] = [];
  const runId = randomUUID();
  await using _h = await bus.hearSignals(
    progress,
    { parameters: { runId } },
    ({ body }) => void heard.push(body.bytes),
  );
  const body = { runId, source: "orders", kind: "files" as const, step: "base" as const, bytes: 5, ms: 1 };
  bus.publishSignal(progress, { runId: randomUUID(), source: "orders" }, { ...body, bytes: 6 });
  bus.publishSignal(progress, { runId, source: "orders" }, body);
  await until("heard", () => heard.length === 1);
  expect(heard).toEqual([5]);
});
