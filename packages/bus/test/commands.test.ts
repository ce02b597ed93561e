import { randomUUID } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { rehearseSource, runBackup } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import { submitBackup } from "@stillpoint/contracts/people";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "../src/bus.ts";
import { durableOf } from "../src/durable.ts";
import { gate, type Nats, testBus, testNats, until } from "./fixture.ts";

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

const REVISION = "a".repeat(64);
const body = (plan: string, runId: string = randomUUID()) => ({
  runId,
  plan,
  revision: REVISION,
  requestedBy: "person" as const,
});
let plans = 0;
const newPlan = () => `plan-${++plans}`;

describe("publishing", () => {
  test("a command published twice is one, and another run of the plan is told whose place is taken", async () => {
    const plan = newPlan();
    const mine = body(plan);
    expect(await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId })).toMatchObject({
      outcome: "stored",
    });
    expect(await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId })).toMatchObject({
      outcome: "duplicate",
    });
    const other = body(plan);
    const refused = await bus.publishCommand(runBackup, { plan }, other, { messageId: other.runId });
    expect(refused).toMatchObject({ outcome: "occupied", by: { body: { runId: mine.runId }, parameters: { plan } } });
    await bus.purgeCommands(runBackup, { plan });
  });

  test("a purged command that is published again inside the window is stored again", async () => {
    const plan = newPlan();
    const mine = body(plan);
    await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId });
    expect(await bus.purgeCommands(runBackup, { plan })).toBe(1);
    expect(await bus.readCommand(runBackup, { plan })).toBeUndefined();
    expect(await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId })).toMatchObject({
      outcome: "stored",
    });
    expect(await bus.readCommand(runBackup, { plan })).toMatchObject({ messageId: `${mine.runId}:2` });
    await bus.purgeCommands(runBackup, { plan });
  });

  test("a command that was taken and done is not published a second time where that is not wanted", async () => {
    const plan = newPlan();
    const mine = body(plan);
    await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId, whenGone: "leave" });
    await bus.purgeCommands(runBackup, { plan });
    const again = await bus.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId, whenGone: "leave" });
    expect(again).toEqual({ outcome: "gone" });
    expect(await bus.readCommand(runBackup, { plan })).toBeUndefined();
  });

  test("deleting by sequence leaves a newer command of the subject alone", async () => {
    const plan = newPlan();
    const first = body(plan);
    const stored = await bus.publishCommand(runBackup, { plan }, first, { messageId: first.runId });
    if (stored.outcome !== "stored") throw new Error(stored.outcome);
    await bus.deleteCommand(runBackup, stored.sequence);
    const second = body(plan);
    await bus.publishCommand(runBackup, { plan }, second, { messageId: second.runId });
    await bus.deleteCommand(runBackup, stored.sequence);
    expect(await bus.readCommand(runBackup, { plan })).toMatchObject({ body: { runId: second.runId } });
    await bus.purgeCommands(runBackup, { plan });
  });

  test("a body that the contract does not allow is not sent", async () => {
    const plan = newPlan();
    const bad = { ...body(plan), revision: "short" };
    const sending = bus.publishCommand(runBackup, { plan }, bad, { messageId: "bad" });
    await expect(sending).rejects.toMatchObject({ code: "INTERNAL", where: "revision" });
    expect(await bus.readCommand(runBackup, { plan })).toBeUndefined();
  });

  test("a purge by a parameter that is no token is refused: a star would purge what is another's", async () => {
    await expect(bus.purgeCommands(runBackup, { plan: "*" })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  });
});

test("durables are named by the words of the command and the parameters that divide the work", () => {
  expect(durableOf(runBackup.subject, {})).toBe("run");
  expect(durableOf(rehearseSource.subject, { kind: "postgres", site: "default", runtime: "pg15-glibc" })).toBe(
    "rehearse-postgres-default-pg15-glibc",
  );
  expect(durableOf(submitBackup.subject, {})).toBe("submit-backup");
});

/** A server, a bus and its only taker, so that what one test leaves is not taken by another. */
async function alone(): Promise<AsyncDisposable & { nats: Nats; bus: Bus }> {
  const resources = new AsyncDisposableStack();
  const own = resources.use(await testNats());
  const ownBus = resources.use(await testBus(own.server));
  return { nats: own, bus: ownBus, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function publish(on: Bus, plan: string): Promise<string> {
  const mine = body(plan);
  await on.publishCommand(runBackup, { plan }, mine, { messageId: mine.runId });
  return mine.runId;
}

describe("taking", () => {
  test("each command is handled once by two takers, ends when its handler returns, and its subject is free again", async () => {
    await using own = await alone();
    await using second = await testBus(own.nats.server);
    const handled: string[] = [];
    const handler = async ({
      body: { runId },
      parameters,
    }: {
      body: { runId: string };
      parameters: { plan: string };
    }) => {
      expect(parameters.plan).toMatch(/^p\d+$/);
      handled.push(runId);
    };
    await using _a = await own.bus.takeCommands(runBackup, { concurrency: 2 }, handler);
    await using _b = await second.takeCommands(runBackup, { concurrency: 2 }, handler);
    const published = await Promise.all(Array.from({ length: 20 }, (_, at) => publish(own.bus, `p${at}`)));
    await until("all handled", () => handled.length >= 20);
    await until("queue empty", async () => (await own.bus.readCommand(runBackup, { plan: "p7" })) === undefined);
    expect(handled.toSorted()).toEqual(published.toSorted());
    await publish(own.bus, "p7");
    await until("handled again", () => handled.length === 21);
  });

  test("no more than the given number are under way, and the rest is left for others", async () => {
    await using own = await alone();
    const release = gate();
    let now = 0;
    let most = 0;
    await using taking = await own.bus.takeCommands(runBackup, { concurrency: 2 }, async () => {
      now += 1;
      most = Math.max(most, now);
      await release.opened;
      now -= 1;
    });
    for (let at = 0; at < 5; at += 1) await publish(own.bus, `p${at}`);
    await until("two under way", () => taking.underWay() === 2);
    const others: string[] = [];
    await using second = await testBus(own.nats.server);
    await using _b = await second.takeCommands(runBackup, { concurrency: 5 }, async ({ parameters }) => {
      others.push(parameters.plan);
    });
    await until("the other took the rest", () => others.length === 3);
    release.open();
    await until("all done", () => taking.underWay() === 0);
    expect(most).toBe(2);
  });

  test("a failure that may pass is tried again and counted; a delay is not counted", async () => {
    await using own = await alone();
    const attempts: number[] = [];
    let calls = 0;
    const options = { concurrency: 1, firstDelayMs: 10, longestDelayMs: 20 };
    await using _t = await own.bus.takeCommands(runBackup, options, async ({ attempt, delay }) => {
      attempts.push(attempt);
      calls += 1;
      if (calls === 1 || calls === 3) throw new StillpointError("SOURCE_UNREACHABLE", { what: "not there" });
      if (calls === 2) return delay(10);
      return undefined;
    });
    await publish(own.bus, "shop");
    await until(
      "done",
      async () => calls === 4 && (await own.bus.readCommand(runBackup, { plan: "shop" })) === undefined,
    );
    expect(attempts).toEqual([1, 2, 2, 3]);
  });

  test("a failure that no later try can cure is a dead letter with its reason, and the subject is free", async () => {
    await using own = await alone();
    await using _t = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async () => {
      throw new StillpointError("PLAN_UNKNOWN", { what: "No such plan", where: "größe" });
    });
    const runId = await publish(own.bus, "shop");
    await until("buried", async () => (await own.bus.listDeadLetters({ limit: 10 })).length > 0);
    await until("free", async () => (await own.bus.readCommand(runBackup, { plan: "shop" })) === undefined);
    const letters = await own.bus.listDeadLetters({ limit: 10 });
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({
      stream: "CMD",
      durable: "run",
      error: { code: "PLAN_UNKNOWN", where: "größe" },
    });
    expect(JSON.parse(letters[0]?.body ?? "")).toMatchObject({ runId });
  });

  test("attempts run out where the taker sets a limit", async () => {
    await using own = await alone();
    let calls = 0;
    const options = { concurrency: 1, maxAttempts: 3, firstDelayMs: 5, longestDelayMs: 5 };
    await using _t = await own.bus.takeCommands(runBackup, options, async () => {
      calls += 1;
      throw new StillpointError("SOURCE_UNREACHABLE", { what: "not there" });
    });
    await publish(own.bus, "shop");
    await until("buried", async () => (await own.bus.listDeadLetters({ limit: 1 })).length === 1);
    expect(calls).toBe(3);
  });

  test("a dead letter that is replayed is a command again, and refused while the subject is taken", async () => {
    await using own = await alone();
    let isBroken = true;
    const done: string[] = [];
    const first = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async ({ body: { runId } }) => {
      if (isBroken) throw new StillpointError("PLAN_UNKNOWN", { what: "No such plan" });
      done.push(runId);
    });
    const runId = await publish(own.bus, "shop");
    await until("buried", async () => (await own.bus.listDeadLetters({ limit: 1 })).length === 1);
    await until("free", async () => (await own.bus.readCommand(runBackup, { plan: "shop" })) === undefined);
    const [letter] = await own.bus.listDeadLetters({ limit: 1 });
    await first[Symbol.asyncDispose]();
    const blocker = await publish(own.bus, "shop");
    await expect(own.bus.replayDeadLetter(letter?.sequence ?? 0)).rejects.toMatchObject({ code: "CONFLICT" });
    await own.bus.purgeCommands(runBackup, { plan: "shop" });
    await own.bus.replayDeadLetter(letter?.sequence ?? 0);
    isBroken = false;
    await using _t = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async ({ body: taken }) => {
      done.push(taken.runId);
    });
    await until("replayed", () => done.length > 0);
    expect(done).toEqual([runId]);
    expect(done).not.toContain(blocker);
    expect(await own.bus.listDeadLetters({ limit: 1 })).toEqual([]);
  });

  test("a body that does not parse is a dead letter, not a loop", async () => {
    await using own = await alone();
    let calls = 0;
    await using _t = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async () => {
      calls += 1;
    });
    const raw = await connect({ servers: own.nats.server.url });
    raw.publish("stillpoint.v1.cmd.run.shop", "{not json");
    raw.publish("stillpoint.v1.cmd.run.other", '{"runId":"no uuid"}');
    await raw.drain();
    await until("both buried", async () => (await own.bus.listDeadLetters({ limit: 10 })).length === 2);
    const letters = await own.bus.listDeadLetters({ limit: 10 });
    expect(letters.map((letter) => letter.error.code)).toEqual(["INVALID_REQUEST", "INVALID_REQUEST"]);
    expect(letters.find((letter) => letter.subject.endsWith("other"))?.error.where).toBe("runId");
    expect(calls).toBe(0);
  });

  test("a taker that stops signals what it has under way and gives it back at once, uncounted", async () => {
    await using own = await alone();
    const begun = gate();
    const first = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async ({ signal }) => {
      begun.open();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    await publish(own.bus, "shop");
    await begun.opened;
    await first[Symbol.asyncDispose]();
    const attempts: number[] = [];
    await using _t = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async ({ attempt }) => {
      attempts.push(attempt);
    });
    await until("the next one took it", () => attempts.length === 1);
    expect(attempts).toEqual([1]);
  });

  test("a command under way outlives the server's restart: one effect, no second delivery", async () => {
    await using own = await alone();
    const begun = gate();
    const release = gate();
    let calls = 0;
    const options = { concurrency: 1, ackWaitMs: 30_000 }; // longer than any restart
    const handler = async () => {
      calls += 1;
      begun.open();
      await release.opened;
    };
    await using _a = await own.bus.takeCommands(runBackup, options, handler);
    await using second = await testBus(own.nats.server);
    await using _b = await second.takeCommands(runBackup, options, handler);
    await publish(own.bus, "shop");
    await begun.opened;
    await own.nats.server.restart();
    await until("connected again", () => own.bus.isConnected() && second.isConnected());
    release.open();
    await until("done", async () => (await own.bus.readCommand(runBackup, { plan: "shop" })) === undefined);
    expect(calls).toBe(1);
    await publish(own.bus, "next");
    await until("taking goes on", () => calls === 2);
  });

  test("a command is published once although the server was away when it was asked to", async () => {
    await using own = await alone();
    const handled: string[] = [];
    await using _t = await own.bus.takeCommands(runBackup, { concurrency: 1 }, async ({ body: { runId } }) => {
      handled.push(runId);
    });
    await own.nats.server.stop();
    const publishing = publish(own.bus, "shop");
    await own.nats.server.restart();
    const runId = await publishing;
    await until("handled", () => handled.length > 0);
    expect(handled).toEqual([runId]);
  });

  test("what a crashed taker had is taken by another when its time has passed", async () => {
    await using own = await alone();
    const crashing = await testBus(own.nats.server);
    const begun = gate();
    const never = gate();
    await crashing.takeCommands(runBackup, { concurrency: 1, ackWaitMs: 1_000 }, async () => {
      begun.open();
      await never.opened;
    });
    await publish(own.bus, "shop");
    await begun.opened;
    await crashing[Symbol.asyncDispose](); // the connection is gone, so is its heartbeat
    const attempts: number[] = [];
    await using _t = await own.bus.takeCommands(
      runBackup,
      { concurrency: 1, ackWaitMs: 1_000 },
      async ({ attempt }) => {
        attempts.push(attempt);
      },
    );
    await until("taken over", () => attempts.length === 1);
    expect(attempts).toEqual([2]);
    never.open();
  });
});
