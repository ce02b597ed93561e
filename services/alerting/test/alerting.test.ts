import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Bus } from "@stillpoint/bus/bus";
import { runBackup } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { AlertRule } from "@stillpoint/contracts/plan";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { PROCESS_ENVIRONMENT } from "@stillpoint/testkit/process-environment";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, expect, test } from "vitest";
import { service } from "../src/service.ts";
import {
  newPointId,
  tellAnomaly,
  tellGap,
  tellPlanAccepted,
  tellPlanRejected,
  tellPointSealed,
  tellProof,
  tellRunFailed,
  tellShippingFailed,
  tellShippingStarted,
  tellUsual,
} from "./facts.ts";
import { webhookReceiver } from "./receiver.ts";

const SETTINGS = { STILLPOINT_ALERTING_POLL_MS: "20", STILLPOINT_ALERTING_RETRY_MS: "20" };

async function setRules(bus: Bus, ...alerts: AlertRule[]): Promise<void> {
  await (await bus.bucket(BUCKETS.installation)).put("alerts", { alerts });
}

async function outboxIsEmpty(bus: Bus): Promise<boolean> {
  return (await (await bus.bucket(BUCKETS.outbox)).keys()).length === 0;
}

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
});

test("a failure is told once although the channel refused at first and the failure repeats, and its end is told", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  receiver.answerNext(500, 503, 429);
  await setRules(bus, { slack: receiver.url, from: "warning" });
  await using alerting = await inProcessService(service, nats, SETTINGS);
  await tellRunFailed(bus, "shop");
  await waitFor("told", () => receiver.messages.length === 1);
  expect(receiver.refused()).toBe(3);
  await tellRunFailed(bus, "shop", "still refused");
  await tellPointSealed(bus, "shop");
  await waitFor("its end is told", () => receiver.messages.length === 2);
  await waitFor("nothing waits", () => outboxIsEmpty(bus));
  expect(receiver.texts()).toEqual([
    "[CRITICAL] shop: no recovery point was made (source orders)",
    "[RESOLVED] shop: recovery points are made again",
  ]);
  expect(receiver.messages[0]?.attachments[0]).toMatchObject({
    color: "danger",
    text: expect.stringContaining("Cannot open the source (orders): connection refused [SOURCE_UNREACHABLE]"),
  });
  expect(receiver.messages[1]?.attachments[0]?.color).toBe("good");
  expect(JSON.stringify(alerting.lines)).not.toContain("very-secret");
});

test("partial points, unproven points, lost fences and refused plans are told, and so is the end of each", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await setRules(bus, { slack: receiver.url, from: "warning" });
  await using _s = await inProcessService(service, nats, SETTINGS);
  const fuzzy = {
    cutId: crypto.randomUUID(),
    mode: "fence" as const,
    at: "2026-03-03T00:00:00.000Z",
    windowMs: 5,
    skewMs: 1,
    offsetsMs: {},
  };
  const skipped = [{ source: "graph", reason: "connection refused" }];
  const first = await tellPointSealed(bus, "shop", { partial: true, skipped });
  await tellProof(bus, "shop", first, "inconclusive");
  await tellProof(bus, "shop", first, "fail");
  await tellPlanRejected(bus, "plan-file");
  await tellPointSealed(bus, "shop", {
    cut: { ...fuzzy, consistency: "fuzzy", reasons: ["heldThroughout was false"] },
  });
  await waitFor("all told", () => receiver.messages.length === 6);
  const second = await tellPointSealed(bus, "shop", { cut: { ...fuzzy, consistency: "fenced", reasons: [] } });
  await tellProof(bus, "shop", second, "pass");
  await tellPlanAccepted(bus, "shop");
  await waitFor("all ends told", () => receiver.messages.length === 9);
  expect(receiver.texts().toSorted()).toEqual([
    "[CRITICAL] shop: a recovery point FAILED its proof",
    "[RESOLVED] The plan file is accepted",
    "[RESOLVED] shop: recovery points are fenced again",
    "[RESOLVED] shop: recovery points are proven again",
    "[RESOLVED] shop: recovery points are whole again",
    "[WARNING] The plan file was refused; what was accepted before stays in force",
    "[WARNING] shop: a proof is inconclusive",
    "[WARNING] shop: a recovery point is fuzzy, not fenced",
    "[WARNING] shop: a recovery point is partial",
  ]);
});

test("a source that is unlike itself is told with its numbers and the point that is held, until it is as it was", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await setRules(bus, { slack: receiver.url, from: "warning" });
  await using _s = await inProcessService(service, nats, SETTINGS);
  const held = newPointId();
  await tellAnomaly(bus, "shop", "uploads", held);
  await tellUsual(bus, "shop", "uploads");
  await waitFor("both are told", () => receiver.messages.length === 2);
  expect(receiver.texts()).toEqual([
    "[CRITICAL] shop: uploads is unlike what it was",
    "[RESOLVED] shop: uploads is as usual",
  ]);
  const text = receiver.messages[0]?.attachments[0]?.text;
  expect(text).toContain("share of it that is new: 98.7 %, usually 0.4 %");
  expect(text).toContain(`point release ${held}`);
});

test("a log that is not shipped is told once it lasts, again when it is grave, and its end; a gap is told by itself", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await setRules(bus, { slack: receiver.url, from: "warning" });
  await using _s = await inProcessService(service, nats, SETTINGS);
  for (const attempt of [1, 2]) await tellShippingFailed(bus, attempt, 500_000);
  await tellShippingStarted(bus);
  for (const attempt of [1, 2, 3, 4, 40, 41]) await tellShippingFailed(bus, attempt, attempt * 3_000);
  await tellShippingStarted(bus);
  await waitFor("its end is told", () => receiver.messages.length === 3);
  await tellGap(bus);
  await waitFor("all is told", () => receiver.messages.length === 4);
  expect(receiver.texts()).toEqual([
    "[WARNING] shop: the log of orders is not shipped",
    "[CRITICAL] shop: the log of orders is not shipped",
    "[RESOLVED] shop: the log of orders is shipped",
    "[CRITICAL] shop: the log of orders has a gap",
  ]);
  expect(receiver.messages[0]?.attachments[0]?.text).toContain("connection refused [SOURCE_UNREACHABLE]; 3 tries");
  expect(receiver.messages[3]?.attachments[0]?.text).toContain(
    "the slot is gone; between 1/0000000A and what comes next",
  );
});

test("a channel that wants critical alone hears nothing less, and each channel hears by itself", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using all = await webhookReceiver();
  await using few = await webhookReceiver();
  await setRules(bus, { slack: all.url, from: "warning" }, { slack: few.url, from: "critical" });
  await using _s = await inProcessService(service, nats, SETTINGS);
  few.answerNext(500, 500);
  await tellPlanRejected(bus, "shop");
  await tellRunFailed(bus, "shop");
  await waitFor("both told", () => all.messages.length === 2 && few.messages.length === 1);
  await waitFor("nothing waits", () => outboxIsEmpty(bus));
  expect(few.texts()).toEqual(["[CRITICAL] shop: no recovery point was made (source orders)"]);
  expect(all.messages).toHaveLength(2);
});

test("the address is a reference that is read where alerting runs; until it is there, notices wait", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await setRules(bus, { slack: "${env:SLACK_WEBHOOK}", from: "warning" });
  await tellRunFailed(bus, "shop");
  {
    await using without = await inProcessService(service, nats, SETTINGS);
    const failed = await waitFor("it says what is missing", () => without.lines.find(({ level }) => level === "error"));
    expect(JSON.stringify(failed)).toContain("SLACK_WEBHOOK");
  }
  await using _with = await inProcessService(service, nats, { ...SETTINGS, SLACK_WEBHOOK: receiver.url });
  await waitFor("told", () => receiver.messages.length === 1);
});

test("a message that was buried is told with its reason, once for two replicas", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await setRules(bus, { slack: receiver.url, from: "warning" });
  await using _a = await inProcessService(service, nats, SETTINGS);
  await using _b = await inProcessService(service, nats, SETTINGS);
  await using _t = await bus.takeCommands(runBackup, { concurrency: 1 }, async () => {
    throw new StillpointError("PLAN_UNKNOWN", { what: "No such plan", where: "<shop>" });
  });
  const runId = crypto.randomUUID();
  const run = { runId, plan: "shop", revision: "a".repeat(64), requestedBy: "person" as const };
  await bus.publishCommand(runBackup, { plan: "shop" }, run, { messageId: runId });
  await waitFor("told", () => receiver.messages.length === 1);
  await tellPlanRejected(bus, "other");
  await waitFor("the next was told", () => receiver.messages.length === 2);
  expect(receiver.texts()[0]).toBe("[WARNING] A message could not be handled: stillpoint.v1.cmd.run.shop");
  expect(receiver.messages[0]?.attachments[0]?.text).toContain("No such plan (&lt;shop&gt;) [PLAN_UNKNOWN]");
});

test("a notice that waited for its channel is delivered by the next process when this one is killed", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats, { leaseTtlMs: 4_000 });
  const closed = await webhookReceiver();
  const { port, url } = closed;
  await closed[Symbol.asyncDispose]();
  await setRules(bus, { slack: "${env:SLACK_WEBHOOK}", from: "warning" });
  const start = () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../src/main.ts")], {
      env: {
        ...PROCESS_ENVIRONMENT,
        ...SETTINGS,
        STILLPOINT_NATS_URL: nats.url,
        STILLPOINT_LEASE_TTL_MS: "4000",
        SLACK_WEBHOOK: url,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    children.push(child);
    let log = "";
    child.stderr.on("data", (data: Buffer) => {
      log += data;
    });
    return { child, log: () => log };
  };
  const first = start();
  await tellRunFailed(bus, "shop");
  await waitFor("it tried", () => first.log().includes("ECONNREFUSED"));
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await using receiver = await webhookReceiver(port);
  const second = start();
  await waitFor("told", () => receiver.messages.length === 1);
  await waitFor("nothing waits", () => outboxIsEmpty(bus));
  expect(receiver.messages).toHaveLength(1);
  expect(first.log() + second.log()).not.toContain("very-secret");
});

test("a proof that comes before anybody has a channel waits for one", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using receiver = await webhookReceiver();
  await using _s = await inProcessService(service, nats, SETTINGS);
  await tellProof(bus, "shop", newPointId(), "fail");
  await waitFor("it is in the outbox", async () => !(await outboxIsEmpty(bus)));
  await setRules(bus, { slack: receiver.url, from: "critical" });
  await waitFor("told", () => receiver.messages.length === 1);
});
