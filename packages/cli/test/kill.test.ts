import { join } from "node:path";
import { captureOpened, runFailed, runFinished, runStarted } from "@stillpoint/contracts/events";
import { submitBackup } from "@stillpoint/contracts/people";
import type { Point } from "@stillpoint/contracts/point";
import { queryPoints } from "@stillpoint/contracts/queries";
import { judge } from "@stillpoint/sample/bounds";
import { readJournal } from "@stillpoint/sample/journal";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PLAN, restoredSequences, startTestSystem, type TestSystem } from "./system-fixture.ts";

/** The moments of a run at which a service is killed: one is drawn for each, so that all are met over time. */
const MOMENTS = ["submitted", "started", "opened", "a little later", "ended"] as const;
type Moment = (typeof MOMENTS)[number];

const SEED = Number(process.env.STILLPOINT_TEST_SEED ?? Date.now() % 1_000_000);

function drawn(at: number): Moment {
  return MOMENTS[(SEED + at * 7) % MOMENTS.length] ?? "started";
}

describe(`kill -9 of each service in a run (STILLPOINT_TEST_SEED=${SEED})`, () => {
  let test: TestSystem;
  beforeAll(async () => {
    test = await startTestSystem({ isolate: true, validate: false, leaseTtlMs: 4_000 });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const victims = [
    "gateway",
    "scheduler",
    "orchestrator",
    "catalog",
    "validator",
    "alerting",
    "vault",
    "agent-sqlite",
    "agent-files",
  ];

  it.each(victims.map((victim, at) => [victim, drawn(at)] as const))(
    "%s, when the run is %s: nothing sealed is lost, nothing unsealed is good, the fence opens, work ends",
    async (victim, moment) => {
      const before = await sealedPoints(test);
      await runWithKill(test, victim, moment);
      const after = await sealedPoints(test);

      expect(after.map(({ pointId }) => pointId)).toEqual(expect.arrayContaining(before.map(({ pointId }) => pointId)));
      for (const point of after) for (const { mark } of point.sources) expect(mark.cutId).toBe(point.cut.cutId);
      // Held no longer than its own expiry, whatever died.
      await waitFor("the fence is open", () => test.sample.status().fence === null);

      // Work goes on as if nothing had been.
      const next = await test.backUp();
      expect(next.cut.consistency).toBe("fenced");
      const { points: shown } = await test.bus.request(
        queryPoints,
        {},
        { plan: PLAN, limit: 100 },
        { timeoutMs: 10_000, patienceMs: 30_000 },
      );
      const sealed = new Set((await sealedPoints(test)).map(({ pointId }) => pointId));
      for (const { point } of shown) expect(sealed).toContain(point.pointId);
    },
  );

  it("every point that was sealed holds exactly what was acknowledged before its fence", async () => {
    await using repository = await test.repository();
    const points = await sealedPoints(test);
    const entries = readJournal(test.sample.journalPath);
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    for (const point of points) {
      if (point.cut.consistency !== "fenced") continue;
      const fence = entries.find((entry) => entry.event === "confirmed" && entry.sequence === point.cut.sequence);
      if (fence?.event !== "confirmed") throw new Error(`no fence at ${point.cut.sequence}`);
      const found = await restoredSequences(repository, point, join(test.directory, "restored"));
      for (const present of found.values()) {
        expect(judge(entries, fence.fenceId, present)).toEqual({ missing: [], returned: [], late: [] });
      }
    }
  });
});

async function sealedPoints(test: TestSystem): Promise<Point[]> {
  await using repository = await test.repository();
  return Array.fromAsync(repository.points());
}

/** Submits a run, kills the victim at the moment, starts it again, and waits until the run has ended either way. */
async function runWithKill(test: TestSystem, victim: string, moment: Moment): Promise<void> {
  const { bus } = test;
  const after = await bus.lastEventSequence();
  const stop = new AbortController();
  let killed: Promise<void> | undefined;
  const kill = () => {
    killed ??= (async () => {
      await test.process(victim).kill();
      await test.process(victim).restart();
    })();
  };
  const events = bus.followEvents([runStarted, captureOpened, runFinished, runFailed], { after, signal: stop.signal });
  await bus.publishCommand(submitBackup, {}, { plan: PLAN }, { messageId: `test-${victim}-${after}` });
  if (moment === "submitted") kill();
  for await (const fact of events) {
    if (fact.type === "current") continue;
    if (fact.type === runStarted.subject && moment === "started") kill();
    if (fact.type === captureOpened.subject) {
      if (moment === "opened") kill();
      else if (moment === "a little later") setTimeout(kill, SEED % 400);
    }
    if (fact.type === runFinished.subject || fact.type === runFailed.subject) break;
  }
  kill();
  await killed;
  stop.abort();
}
