import { randomUUID } from "node:crypto";
import type { Bus } from "@stillpoint/bus/bus";
import { maintainRepository, runBackup, shipSource } from "@stillpoint/contracts/commands";
import { maintenanceTask } from "@stillpoint/contracts/maintenance";
import type { PlanInput } from "@stillpoint/contracts/plan";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";

const SETTINGS = { STILLPOINT_SCHEDULER_TICK_MS: "20", STILLPOINT_SCHEDULER_RETRY_MS: "900000" };
const REVISION = "a".repeat(64);
const START = Date.parse("2026-03-03T01:58:00.000Z");

/** A clock that stands until it is set, for both sides of a tick. */
function manualClock(now = START) {
  const clock = {
    now: () => now,
    monotonicMs: () => performance.now(),
    set: (to: string) => {
      now = Date.parse(to);
    },
  };
  return clock;
}

async function acceptPlan(bus: Bus, plan: string, schedule: PlanInput["schedule"], at = START): Promise<void> {
  const plans = await bus.bucket(BUCKETS.plans);
  const definition = { sources: { files: { kind: "files" as const, paths: ["/etc"] } }, schedule };
  await plans.put(plan, { plan, revision: REVISION, definition, acceptedAt: new Date(at).toISOString() });
}

/** Takes every run at once and remembers it, as an orchestrator does that is quick. */
async function takeRuns(bus: Bus) {
  const runs: { runId: string; plan: string; entries: string[]; dueAt: string | undefined }[] = [];
  const taking = await bus.takeCommands(
    runBackup,
    { concurrency: 10 },
    async ({ body: { runId, plan, entries, dueAt } }) => {
      runs.push({ runId, plan, entries, dueAt });
    },
  );
  return { runs, [Symbol.asyncDispose]: () => taking[Symbol.asyncDispose]() };
}

async function through(bus: Bus, plan: string): Promise<string | undefined> {
  return (await (await bus.bucket(BUCKETS.ticks)).get(plan))?.value.through;
}

test("three replicas make one run per instant, with every entry that is due, and none twice when the clock goes back", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  const clock = manualClock();
  await using taken = await takeRuns(bus);
  await acceptPlan(bus, "shop", ["every 5m", "daily"]);
  await using _a = await inProcessService(service, nats, SETTINGS, { clock });
  await using _b = await inProcessService(service, nats, SETTINGS, { clock });
  await using _c = await inProcessService(service, nats, SETTINGS, { clock });
  clock.set("2026-03-03T02:00:00.000Z");
  await waitFor("two o'clock was dealt with", async () => (await through(bus, "shop")) === "2026-03-03T02:00:00.000Z");
  clock.set("2026-03-03T01:59:00.000Z");
  clock.set("2026-03-03T02:00:30.000Z");
  clock.set("2026-03-03T02:05:00.000Z");
  await waitFor("five past was dealt with", async () => (await through(bus, "shop")) === "2026-03-03T02:05:00.000Z");
  clock.set("2026-03-03T02:10:00.000Z");
  await waitFor("ten past was dealt with", async () => (await through(bus, "shop")) === "2026-03-03T02:10:00.000Z");
  await waitFor("the runs were taken", () => taken.runs.length >= 3);
  expect(taken.runs.map(({ entries, dueAt }) => [dueAt, entries])).toEqual([
    ["2026-03-03T02:00:00.000Z", ["every-5m", "daily"]],
    ["2026-03-03T02:05:00.000Z", ["every-5m"]],
    ["2026-03-03T02:10:00.000Z", ["every-5m"]],
  ]);
});

test("a run that is refused because a person's is under way leaves its longer entries to the next", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  const clock = manualClock();
  await acceptPlan(bus, "shop", ["every 5m", "daily"]);
  const runId = randomUUID();
  const mine = { runId, plan: "shop", revision: REVISION, requestedBy: "person" as const };
  await bus.publishCommand(runBackup, { plan: "shop" }, mine, { messageId: runId });
  await using scheduler = await inProcessService(service, nats, SETTINGS, { clock });
  clock.set("2026-03-03T02:00:00.000Z");
  await waitFor("two o'clock was dealt with", async () => (await through(bus, "shop")) === "2026-03-03T02:00:00.000Z");
  expect(scheduler.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields)).toMatchObject([
    { plan: "shop", entries: ["every-5m", "daily"], carried: ["daily"], runId },
  ]);
  await bus.purgeCommands(runBackup, { plan: "shop" });
  clock.set("2026-03-03T02:05:00.000Z");
  const next = await waitFor("the next run", () => bus.readCommand(runBackup, { plan: "shop" }));
  expect(next.body).toMatchObject({ entries: ["every-5m", "daily"], dueAt: "2026-03-03T02:05:00.000Z" });
});

test("a scheduler that was away asks for one run in place of all that it missed", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  const clock = manualClock();
  await acceptPlan(bus, "shop", ["hourly", "daily"]);
  clock.set("2026-03-05T09:30:00.000Z");
  await using taken = await takeRuns(bus);
  {
    await using _s = await inProcessService(service, nats, SETTINGS, { clock });
    await waitFor("it caught up", async () => (await through(bus, "shop")) === "2026-03-05T09:00:00.000Z");
  }
  // Another process, later in the same hour: nothing is left to do until the next.
  clock.set("2026-03-05T09:59:59.000Z");
  await using _again = await inProcessService(service, nats, SETTINGS, { clock });
  clock.set("2026-03-05T10:00:00.000Z");
  await waitFor("ten o'clock was dealt with", async () => (await through(bus, "shop")) === "2026-03-05T10:00:00.000Z");
  await waitFor("both were taken", () => taken.runs.length >= 2);
  expect(taken.runs.map(({ entries, dueAt }) => [dueAt, entries])).toEqual([
    ["2026-03-05T09:00:00.000Z", ["hourly", "daily"]],
    ["2026-03-05T10:00:00.000Z", ["hourly"]],
  ]);
});

test("a plan that comes, changes and goes while the scheduler runs is followed, through a restart of NATS", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  const clock = manualClock();
  await using taken = await takeRuns(bus);
  await using _s = await inProcessService(service, nats, SETTINGS, { clock });
  await acceptPlan(bus, "shop", ["daily"]);
  clock.set("2026-03-03T02:00:00.000Z");
  await waitFor("the new plan ran", () => taken.runs.length === 1);
  await nats.restart();
  await acceptPlan(bus, "shop", ["every 5m"]);
  clock.set("2026-03-03T02:05:00.000Z");
  await waitFor("the changed plan ran", () => taken.runs.length === 2);
  await (await bus.bucket(BUCKETS.plans)).delete("shop");
  await waitFor("it is forgotten", async () => (await through(bus, "shop")) === undefined);
  clock.set("2026-03-03T02:10:00.000Z");
  // A tick that read its clock before it was set may see this plan: accepted later than that, nothing of it is due yet.
  await acceptPlan(bus, "other", ["every 1m"], Date.parse("2026-03-03T02:09:30.000Z"));
  await waitFor("another plan ran", () => taken.runs.length === 3);
  expect(taken.runs.map(({ plan, dueAt }) => [plan, dueAt])).toEqual([
    ["shop", "2026-03-03T02:00:00.000Z"],
    ["shop", "2026-03-03T02:05:00.000Z"],
    ["other", "2026-03-03T02:10:00.000Z"],
  ]);
});

test("what the repository needs is asked for at its times, once by two replicas, once for what was missed, never where it is off", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  const clock = manualClock();
  const others = maintenanceTask.options.filter((task) => task !== "check");
  const settings = {
    ...SETTINGS,
    STILLPOINT_MAINTENANCE: ["check: every 6h", ...others.map((task) => `${task}: off`)].join("; "),
  };
  const asked: { task: string; dueAt: string | undefined }[] = [];
  await using _taking = await bus.takeCommands(maintainRepository, { concurrency: 1 }, async ({ body }) => {
    asked.push({ task: body.task, dueAt: body.dueAt });
  });
  const ticks = await bus.bucket(BUCKETS.maintenanceTicks);
  const through = async () => (await ticks.get("check"))?.value.through;
  {
    await using _a = await inProcessService(service, nats, settings, { clock });
    await using _b = await inProcessService(service, nats, settings, { clock });
    await waitFor("it was seen", async () => (await through()) === "2026-03-03T00:00:00.000Z");
    clock.set("2026-03-03T06:00:00.000Z");
    await waitFor("six o'clock was dealt with", async () => (await through()) === "2026-03-03T06:00:00.000Z");
  }
  clock.set("2026-03-05T01:00:00.000Z");
  await using _again = await inProcessService(service, nats, settings, { clock });
  await waitFor("it caught up", async () => (await through()) === "2026-03-05T00:00:00.000Z");
  await waitFor("both were taken", () => asked.length >= 2);
  expect(asked).toEqual([
    { task: "check", dueAt: "2026-03-03T06:00:00.000Z" },
    { task: "check", dueAt: "2026-03-05T00:00:00.000Z" },
  ]);
});

test("every log of every plan has one shipper asked for, again when the command is gone, and none where shipping is off", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  // Its monotonic hands go by an hour with each look: every tick asks again.
  let hours = 0;
  const clock = { now: () => START, monotonicMs: () => 3_600_000 * hours++ };
  const orders = { kind: "postgres" as const, url: "postgres://backup@db/orders" };
  const sources = {
    orders,
    other: { ...orders, at: "site-b", ship: { flush: "1s" } },
    quiet: { ...orders, ship: "off" as const },
    graph: { kind: "neo4j" as const, url: "bolt://graph" },
    config: { kind: "files" as const, paths: ["/etc"] },
  };
  const plans = await bus.bucket(BUCKETS.plans);
  const put = (revision: string) =>
    plans.put("shop", { plan: "shop", revision, definition: { sources }, acceptedAt: new Date(START).toISOString() });
  await put(REVISION);
  await using _a = await inProcessService(service, nats, SETTINGS, { clock });
  await using _b = await inProcessService(service, nats, SETTINGS, { clock });
  const here = { kind: "postgres", site: "default", plan: "shop", source: "orders" };
  const there = { kind: "postgres", site: "site-b", plan: "shop", source: "other" };
  const first = await waitFor("a shipper is asked for", () => bus.readCommand(shipSource, here));
  const second = await waitFor("and another", () => bus.readCommand(shipSource, there));
  expect([first, second].map(({ body }) => body)).toMatchObject([
    { plan: "shop", revision: REVISION, source: "orders", spec: { ship: { flush: "5s", retain: "4GiB" } } },
    { plan: "shop", revision: REVISION, source: "other", spec: { ship: { flush: "1s", retain: "4GiB" } } },
  ]);
  await put("b".repeat(64));
  await bus.deleteCommand(shipSource, second.sequence);
  const again = await waitFor("it is asked for again", async () => {
    const found = await bus.readCommand(shipSource, there);
    if (found?.body.revision === "b".repeat(64)) return found;
    // A tick that had begun with the plan as it was has asked once more: as good for a shipper, and in the way here.
    if (found !== undefined) await bus.deleteCommand(shipSource, found.sequence);
    return undefined;
  });
  expect(again.sequence).toBeGreaterThan(second.sequence);
  // Asked for all the time meanwhile, and refused: the one that is under way stays.
  expect((await bus.readCommand(shipSource, here))?.sequence).toBe(first.sequence);
  for (const source of ["quiet", "graph", "config"]) {
    for (const kind of ["postgres", "neo4j", "files"]) {
      expect(await bus.readCommand(shipSource, { kind, site: "default", plan: "shop", source })).toBeUndefined();
    }
  }
});

test.each(["scrubb: daily", "check: sometimes", "check"])("the setting %j is refused by name", async (value) => {
  const prepared = service.prepare({ environment: { STILLPOINT_MAINTENANCE: value }, readFile: () => "" });
  expect(prepared).toMatchObject({ bad: [{ name: "STILLPOINT_MAINTENANCE" }] });
});
