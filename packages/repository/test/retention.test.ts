import { keepRule } from "@stillpoint/contracts/keep";
import { policyOf } from "@stillpoint/retention/policy";
import { describe, expect, it } from "vitest";
import { applyRetention, planRetention, retentionPlan } from "../src/retention/retention-plan.ts";
import { logWindowsOf } from "../src/retention/retention-state.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { file, head, namesIn, noise, type Trial, tarOf, trial } from "./trial.ts";

const BY = { by: "a test" };
const daily = (count: number) => policyOf(keepRule.parse({ points: { daily: count }, minimum: 1 }), "UTC");

/** A point at noon of each of the first days of 2026-01 that are given, all on one backup. */
async function withDays(setup: Trial, ...days: number[]): Promise<void> {
  await setup.repository.writeBackup(head("b"), tarOf([file("a", noise(1, 1_000))]));
  for (const day of days) await setup.repository.sealPoint(pointAtDay(day));
}

function pointAtDay(day: number) {
  const point = pointOf(day, ["b"]);
  const at = `2025-12-${String(day).padStart(2, "0")}T12:00:00.000Z`;
  return { ...point, cut: { ...point.cut, at }, entries: [] };
}

const listed = async ({ repository }: Pick<Trial, "repository">) =>
  (await Array.fromAsync(repository.points())).map(({ pointId }) => pointId);

describe("retention of a repository", () => {
  it("is planned, looked at, and applied: what was to go is deleted with its reason, the oldest first", async () => {
    await using setup = await trial();
    const { repository } = setup;
    await withDays(setup, 1, 2, 3, 4);
    const before = await namesIn(setup.store);
    const plan = await planRetention(repository, "shop", daily(2));
    expect(await namesIn(setup.store)).toEqual(before);
    expect(retentionPlan.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    expect(plan.go.map(({ pointId }) => pointId)).toEqual([trialId(2), trialId(1)]);
    expect(plan).toMatchObject({ freed: [], stillNeeded: [{ backupId: "b" }] });
    expect(await applyRetention(repository, plan, daily(2), BY)).toEqual({
      deleted: [trialId(1), trialId(2)],
      before: [],
    });
    expect(await listed(setup)).toEqual([trialId(3), trialId(4)]);
    const states = await Array.fromAsync(repository.pointStates());
    expect(states[0]?.deletion).toMatchObject({ by: "a test", reason: "older than any rule reaches" });
  });

  it("applied twice changes no object the second time", async () => {
    await using setup = await trial();
    await withDays(setup, 1, 2, 3);
    const plan = await planRetention(setup.repository, "shop", daily(1));
    await applyRetention(setup.repository, plan, daily(1), BY);
    const before = await namesIn(setup.store);
    expect(await applyRetention(setup.repository, plan, daily(1), BY)).toEqual({
      deleted: [],
      before: [trialId(2), trialId(1)],
    });
    expect(await namesIn(setup.store)).toEqual(before);
    expect((await planRetention(setup.repository, "shop", daily(1))).go).toEqual([]);
  });

  it("is refused whole where it no longer holds: a hold, another policy, a point that is none", async () => {
    await using setup = await trial();
    const { repository } = setup;
    await withDays(setup, 1, 2, 3);
    const plan = await planRetention(repository, "shop", daily(1));
    const { holdId } = await repository.placeHold(trialId(1), { reason: "case 7", by: "legal" });
    const refusal = (why: string) => ({ code: "CONFLICT", why: expect.stringContaining(why) });
    await expect(applyRetention(repository, plan, daily(1), BY)).rejects.toMatchObject(refusal("held: case 7"));
    await expect(applyRetention(repository, plan, daily(2), BY)).rejects.toMatchObject(refusal("has changed"));
    const stranger = { ...plan, go: [{ pointId: trialId(77) }] };
    await expect(applyRetention(repository, stranger, daily(1), BY)).rejects.toMatchObject(refusal("no such point"));
    expect(await listed(setup)).toEqual([trialId(1), trialId(2), trialId(3)]);
    await repository.releaseHold(trialId(1), holdId, BY);
    expect((await applyRetention(repository, plan, daily(1), BY)).deleted).toHaveLength(2);
  });

  it("a newer point does not hinder it: what was to go goes all the more", async () => {
    await using setup = await trial();
    await withDays(setup, 1, 2, 3);
    const plan = await planRetention(setup.repository, "shop", daily(1));
    await setup.repository.sealPoint(pointAtDay(5));
    await applyRetention(setup.repository, plan, daily(1), BY);
    expect(await listed(setup)).toEqual([trialId(3), trialId(5)]);
  });

  it("leaves the points of other plans, and counts a proof", async () => {
    await using setup = await trial();
    const { repository } = setup;
    await withDays(setup, 1, 2, 3);
    await repository.sealPoint({ ...pointAtDay(4), plan: "other" });
    const at = "2026-01-01T00:00:00.000Z";
    const proof = {
      proofId: trialId(900),
      pointId: trialId(2),
      plan: "shop",
      verdict: "pass" as const,
      rtoMs: 1,
      ms: 1,
    };
    await repository.sealProof({ ...proof, reasons: [], checks: [], startedAt: at, finishedAt: at });
    const plan = await planRetention(repository, "shop", daily(1));
    expect(plan.go.map(({ pointId }) => pointId)).toEqual([trialId(1)]);
    expect(plan.keep[1]?.reasons).toEqual([{ code: "newest-proven", text: "the newest proven point" }]);
  });

  it("a point's own retention counts instead of the plan's, until it is taken back", async () => {
    await using setup = await trial();
    const { repository } = setup;
    await withDays(setup, 1, 2, 3);
    const goes = async () => (await planRetention(repository, "shop", daily(9))).go.map(({ pointId }) => pointId);
    expect(await goes()).toEqual([]);
    await repository.keepPoint(trialId(2), "2025-12-31T00:00:00.000Z", BY);
    expect(await goes()).toEqual([trialId(2)]);
    await repository.keepPoint(trialId(2), "never", BY);
    expect(await goes()).toEqual([]);
    await repository.keepPoint(trialId(2), "2025-12-31T00:00:00.000Z", BY);
    await repository.keepPoint(trialId(2), "plan", BY);
    expect(await goes()).toEqual([]);
    await expect(repository.keepPoint(trialId(2), "tomorrow", BY)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(repository.keepPoint(trialId(8), "never", BY)).rejects.toMatchObject({ code: "POINT_UNKNOWN" });
  });
});

describe("windows of the log", () => {
  it("reach from a base to the newest point on it; a run that made its own base has none", () => {
    const run = (n: number) => `019${n}0000-0000-7000-8000-000000000000`;
    const at = (n: number, day: number, base: string, ...log: string[]) => {
      const point = pointOf(n, [base, ...log]);
      return { ...point, runId: run(n), cut: { ...point.cut, at: `2026-01-0${day}T00:00:00.000Z` } };
    };
    const base = `${run(1)}_orders_3_base1`;
    const windows = logWindowsOf([
      at(1, 1, base, `${run(1)}_orders_3_log1`),
      at(2, 2, base, "log-2"),
      at(3, 3, base, "log-2", "log-3"),
      at(4, 4, `${run(4)}_orders_4_base1`, "log-4"),
    ]);
    expect(windows).toMatchObject([
      { source: "orders", toMs: Date.parse("2026-01-03T00:00:00.000Z"), backups: [base, "log-2", "log-3"] },
    ]);
    expect(windows[0]?.fromMs).toBe(0x019100000000);
  });
});
