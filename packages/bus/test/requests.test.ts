import { randomUUID } from "node:crypto";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { StillpointError } from "@stillpoint/contracts/errors";
import { requestBackup } from "@stillpoint/contracts/people";
import { queryRun } from "@stillpoint/contracts/queries";
import { sessionFinish } from "@stillpoint/contracts/sessions";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bus } from "../src/bus.ts";
import { type Nats, testBus, testNats } from "./fixture.ts";

let nats: Nats;
let bus: Bus;
let raw: NatsConnection;
beforeAll(async () => {
  nats = await testNats();
  bus = await testBus(nats.server);
  raw = await connect({ servers: nats.server.url });
});
afterAll(async () => {
  await raw.close();
  await bus[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const WITHIN = { timeoutMs: 30_000 };
const runId = randomUUID();

test("any client of NATS asks in bare JSON and is answered in bare JSON", async () => {
  await using _a = await bus.answer(requestBackup, { queue: "gateway" }, async ({ body }) => {
    expect(body).toEqual({ plan: "demo" });
    return { runId };
  });
  const reply = await raw.request("stillpoint.v1.request.backup", '{"plan":"demo"}', { timeout: 30_000 });
  expect(reply.string()).toBe(JSON.stringify({ runId }));
});

test.for([
  ['{"plan":"NO"}', "plan"],
  ["{}", "plan"],
  ["", "plan"],
  ['{"plan":"demo","when":"now"}', "when"],
  ["[1]", "message"],
  ["{plan", "stillpoint.v1.request.backup"],
])("a body that does not fit, %s, is answered with the field's name: %s", async ([body, where]) => {
  await using _a = await bus.answer(requestBackup, { queue: "gateway" }, async () => ({ runId }));
  const reply = await raw.request("stillpoint.v1.request.backup", body, { timeout: 30_000 });
  expect(reply.json()).toMatchObject({ error: { code: "INVALID_REQUEST", retry: "never", where } });
  expect(reply.headers?.get("Nats-Service-Error-Code")).toBe("400");
});

test("what the answerer throws arrives at the asker as the same error", async () => {
  const thrown = new StillpointError("PLAN_UNKNOWN", {
    what: "No such plan",
    where: "demo",
    hint: "see `stillpoint status`",
  });
  await using _a = await bus.answer(requestBackup, {}, async () => {
    throw thrown;
  });
  const asking = bus.request(requestBackup, {}, { plan: "demo" }, WITHIN);
  await expect(asking).rejects.toMatchObject({ code: "PLAN_UNKNOWN", exit: 5, where: "demo", hint: thrown.hint });
});

test("a reply that speaks of an error among other things is a reply", async () => {
  const session = "session-1";
  const error = new StillpointError("SOURCE_LOST", { what: "gone" }).toBody();
  await using _a = await bus.answer(sessionFinish, { parameters: { session } }, async () => ({
    state: "failed" as const,
    error,
  }));
  const ask = { runId, cutId: randomUUID(), vaultUrl: "http://localhost:1", ticket: "t" };
  expect(await bus.request(sessionFinish, { session }, ask, WITHIN)).toEqual({ state: "failed" as const, error });
});

test("a reply that breaks the contract is the answerer's fault, and is said to be", async () => {
  await using _a = await bus.answer(requestBackup, {}, async () => ({ runId: "no uuid" }));
  await expect(bus.request(requestBackup, {}, { plan: "demo" }, WITHIN)).rejects.toMatchObject({ code: "INTERNAL" });
});

test("nobody there is UNREACHABLE at once; somebody slow is TIMEOUT", async () => {
  const asking = bus.request(queryRun, {}, { runId }, { timeoutMs: 60_000 });
  await expect(asking).rejects.toMatchObject({ code: "UNREACHABLE", retry: "backoff" });
  const { promise: never, resolve } = Promise.withResolvers<void>();
  await using _a = await bus.answer(requestBackup, {}, async () => {
    await never;
    return { runId };
  });
  await expect(bus.request(requestBackup, {}, { plan: "demo" }, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "TIMEOUT",
  });
  resolve();
});

test("of several that share a queue one answers", async () => {
  await using second = await testBus(nats.server);
  let answered = 0;
  const handler = async () => {
    answered += 1;
    return { runId };
  };
  await using _a = await bus.answer(requestBackup, { queue: "gateway" }, handler);
  await using _b = await second.answer(requestBackup, { queue: "gateway" }, handler);
  for (let at = 0; at < 10; at += 1) await bus.request(requestBackup, {}, { plan: "demo" }, WITHIN);
  expect(answered).toBe(10);
});

test("an answer under way goes out although its answerer stops", async () => {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const answering = await bus.answer(requestBackup, {}, async () => {
    begun.resolve();
    await release.promise;
    return { runId };
  });
  const asking = bus.request(requestBackup, {}, { plan: "demo" }, WITHIN);
  await begun.promise;
  const stopping = answering[Symbol.asyncDispose]();
  release.resolve();
  await stopping;
  expect(await asking).toEqual({ runId });
});

test("a patient asker gets through a restart of the server, an impatient one hears UNREACHABLE", async () => {
  await using own = await testNats();
  await using asker = await testBus(own.server);
  await using answerer = await testBus(own.server);
  await using _a = await answerer.answer(requestBackup, {}, async () => ({ runId }));
  await own.server.stop();
  await expect(asker.request(requestBackup, {}, { plan: "demo" }, { timeoutMs: 100 })).rejects.toMatchObject({
    code: "UNREACHABLE",
  });
  const asking = asker.request(requestBackup, {}, { plan: "demo" }, { timeoutMs: 1_000, patienceMs: 90_000 });
  await own.server.restart();
  expect(await asking).toEqual({ runId });
});

test("a question to somebody else's subject is asked and answered in bare JSON", async () => {
  const hook = raw.subscribe("app.fence", {
    callback: (_, message) => {
      message.respond(JSON.stringify({ got: message.json() }));
    },
  });
  await raw.flush();
  expect(await bus.requestJson("app.fence", { verb: "quiesce" }, 30_000)).toEqual({ got: { verb: "quiesce" } });
  hook.unsubscribe();
  await raw.flush();
  await expect(bus.requestJson("app.fence", {}, 30_000)).rejects.toMatchObject({ code: "UNREACHABLE" });
});
