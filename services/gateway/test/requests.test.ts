import { runBackup, validatePoint } from "@stillpoint/contracts/commands";
import { uuidv7 } from "@stillpoint/contracts/names";
import { requestBackup, requestCancel, requestValidate, submitBackup } from "@stillpoint/contracts/people";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultPoint } from "@stillpoint/contracts/vault";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, place } from "./gateway.ts";
import { samplePoint } from "./points.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await place();
  await gateway.start();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const PATIENCE = { timeoutMs: 30_000 };
const ask = (verb: string, body: unknown) => gateway.bus.requestJson(`stillpoint.v1.request.${verb}`, body, 10_000);
const shop = { plan: "shop" };

test("bare JSON starts a run: the command is stored before the answer, and a second is told which run goes on", async () => {
  const first = await ask("backup", { plan: "shop" });
  const stored = await gateway.bus.readCommand(runBackup, shop);
  expect(first).toEqual({ runId: stored?.body.runId });
  expect(stored?.body).toMatchObject({ plan: "shop", requestedBy: "person", entries: [] });
  expect(stored?.body.revision).toBe((await (await gateway.bus.bucket(BUCKETS.plans)).get("shop"))?.value.revision);
  expect(await ask("backup", { plan: "shop" })).toEqual({
    error: expect.objectContaining({ code: "ALREADY_RUNNING", where: stored?.body.runId }),
  });
});

test("what is asked wrongly is answered with the field", async () => {
  const cases: [string, unknown, string][] = [
    ["backup", {}, "plan"],
    ["backup", { plan: "My Shop" }, "plan"],
    ["backup", { plan: "shop", full: true }, "full"],
    ["validate", { pointId: "7" }, "pointId"],
    ["cancel", { run: "7" }, "runId"],
  ];
  for (const [verb, body, where] of cases) {
    expect(await ask(verb, body)).toEqual({ error: expect.objectContaining({ code: "INVALID_REQUEST", where }) });
  }
});

test("a plan that is not in force is unknown, and those that are are named", async () => {
  await expect(gateway.bus.request(requestBackup, {}, { plan: "farm" }, PATIENCE)).rejects.toMatchObject({
    code: "PLAN_UNKNOWN",
    where: "plan farm",
    why: "in force: shop",
  });
});

test("a run that waits can be cancelled, one that nobody knows or that has ended cannot", async () => {
  const stored = await gateway.bus.readCommand(runBackup, shop);
  const runId = stored?.body.runId ?? "";
  expect(await gateway.bus.request(requestCancel, {}, { runId }, PATIENCE)).toEqual({ runId });
  expect((await (await gateway.bus.bucket(BUCKETS.cancellations)).get(runId))?.value.reason).toContain("cancelled");
  const unknown = uuidv7(Date.now(), Buffer.alloc(10, 9));
  await expect(gateway.bus.request(requestCancel, {}, { runId: unknown }, PATIENCE)).rejects.toMatchObject({
    code: "RUN_UNKNOWN",
  });
});

test("a point is proven by request: one proof at a time, and none of a point that is not there", async () => {
  const point = samplePoint("shop");
  const { pointId } = point;
  await using _vault = await gateway.bus.answer(vaultPoint, {}, async () => ({ point, proofs: [] }));
  const { proofId } = await gateway.bus.request(requestValidate, {}, { pointId }, PATIENCE);
  const stored = await gateway.bus.readCommand(validatePoint, { pointId });
  expect(stored?.body).toMatchObject({ pointId, proofId, plan: "shop", requestedBy: "person" });
  await expect(gateway.bus.request(requestValidate, {}, { pointId }, PATIENCE)).rejects.toMatchObject({
    code: "ALREADY_RUNNING",
    where: proofId,
  });
});

test("what was submitted while no gateway ran is done when one starts: once, and after the run that goes on", async () => {
  await using other = await place();
  const first = await other.start();
  const { runId: before } = await other.bus.request(requestBackup, {}, shop, PATIENCE);
  await first[Symbol.asyncDispose]();
  await other.bus.publishCommand(submitBackup, {}, { plan: "shop" }, { messageId: "from-a-script" });

  // Two gateways start, one of them takes what was submitted, and finds the plan occupied.
  await other.start();
  await other.start();
  const requests = await other.bus.bucket(BUCKETS.requests);
  const asked = await waitFor("it is taken", async () => (await requests.entries())[0]);
  expect((await other.bus.readCommand(runBackup, shop))?.body.runId).toBe(before);
  expect(await other.bus.readCommand(submitBackup, {})).toBeDefined();

  await other.bus.purgeCommands(runBackup, shop);
  const taken = await waitFor("its turn has come", () => other.bus.readCommand(runBackup, shop));
  expect(taken.body).toMatchObject({ runId: asked.value.id, requestedBy: "person" });
  await waitFor("its receipt is gone", async () => (await other.bus.readCommand(submitBackup, {})) === undefined);
  expect(await requests.keys()).toHaveLength(1);
});
