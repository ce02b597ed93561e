import { runBackup } from "@stillpoint/contracts/commands";
import { sourceChanged } from "@stillpoint/contracts/events";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";

test("a change in a watched source asks for one point for all of a span; in one that nobody watches for none", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  let now = Date.parse("2026-03-03T02:00:10.000Z");
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const runs: { plan: string; dueAt: string | undefined; requestedBy: string }[] = [];
  await using _taking = await bus.takeCommands(runBackup, { concurrency: 1 }, async ({ body }) => {
    runs.push({ plan: body.plan, dueAt: body.dueAt, requestedBy: body.requestedBy });
  });
  const plans = await bus.bucket(BUCKETS.plans);
  const files = { kind: "files" as const, paths: ["/srv"] };
  for (const [plan, source] of [
    ["shop", { ...files, watch: { every: "20s" } }],
    ["other", files],
  ] as const)
    await plans.put(plan, {
      plan,
      revision: "a".repeat(64),
      definition: { sources: { uploads: source }, schedule: [] },
      acceptedAt: new Date(now).toISOString(),
    });
  const settings = { STILLPOINT_SCHEDULER_TICK_MS: "20", STILLPOINT_LOG_LEVEL: "debug" };
  await using scheduler = await inProcessService(service, nats, settings, { clock });
  const heard = () => scheduler.lines.filter(({ message }) => message === "a watched source changed").length;
  const tell = (plan: string) => {
    const source = "uploads";
    bus.publishSignal(sourceChanged, { plan, source }, { plan, source, at: new Date(now).toISOString(), by: "event" });
  };
  // Before it listens nobody hears.
  await waitFor("the first is heard", () => {
    tell("other");
    tell("shop");
    return heard() > 0;
  });
  const before = heard();
  tell("shop");
  await waitFor("a second is heard", () => heard() > before);
  expect(runs).toEqual([]);
  now = Date.parse("2026-03-03T02:00:20.000Z");
  await waitFor("a point is asked for", () => runs.length > 0);
  const after = heard();
  tell("shop");
  await waitFor("the next is heard", () => heard() > after);
  now = Date.parse("2026-03-03T02:00:41.000Z");
  await waitFor("another point is asked for", () => runs.length > 1);
  expect(runs).toEqual([
    { plan: "shop", dueAt: "2026-03-03T02:00:20.000Z", requestedBy: "notification" },
    { plan: "shop", dueAt: "2026-03-03T02:00:40.000Z", requestedBy: "notification" },
  ]);
});
