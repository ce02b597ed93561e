import { describe, expect, it } from "vitest";
import type { GarbageSettings } from "../src/garbage/settings.ts";
import { BY, DAY, files, garbageTrial, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { head, namesIn, tarOf } from "./trial.ts";

type Keep = Pick<GarbageSettings, "keepLogMs">;

/** Bases in points of day 0 and 10, and the log that is in no point: of day 1, 11 and 12. Now it is day 30. */
async function withLog() {
  const trial = await garbageTrial();
  const log = (n: number) => trial.repository.writeBackup(head(`log${n}`, "log"), tarOf(files(100 + n, 1)));
  await trial.point(1, files(1));
  trial.clock.pass(DAY);
  await log(1);
  trial.clock.pass(9 * DAY);
  await trial.point(2, files(2));
  trial.clock.pass(DAY);
  await log(11);
  trial.clock.pass(DAY);
  await log(12);
  trial.clock.pass(18 * DAY);
  const left = async (keep: Keep | undefined) => {
    for (let runs = 0; runs < 4; runs++) {
      await trial.repository.collectGarbage({ settings: { ...SETTINGS, ...keep } });
      trial.clock.pass(DAY);
    }
    const names = await namesIn(trial.store, "backups/log");
    return names.map((name) => Number(name.slice("backups/log".length)));
  };
  return { trial, left };
}

describe("the log that is in no point", () => {
  it("stays from the newest kept base on that is older than the time for which any moment is to be had", async () => {
    const { trial, left } = await withLog();
    await using _ = trial;
    expect((await trial.repository.planGarbage({ settings: SETTINGS })).pinned).toMatchObject(
      [1, 11, 12].map((n) => ({ pin: "log", what: `log${n}` })),
    );
    expect(await left({ keepLogMs: () => 25 * DAY })).toEqual([1, 11, 12]);
    expect(await left({ keepLogMs: () => 7 * DAY })).toEqual([11, 12]);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("stays whole where nobody says how long it is to be kept, and goes with its base", async () => {
    const { trial, left } = await withLog();
    await using _ = trial;
    expect(await left(undefined)).toEqual([1, 11, 12]);
    await trial.repository.deletePoint(trialId(1), BY);
    expect(await left(undefined)).toEqual([11, 12]);
  });

  it("is kept for each plan's own time", async () => {
    const { trial, left } = await withLog();
    await using _ = trial;
    await trial.repository.writeBackup({ ...head("bill"), plan: "billing" }, tarOf(files(3)));
    await trial.repository.sealPoint(pointOf(3, ["bill"], { plan: "billing" }));
    expect(await left({ keepLogMs: (plan) => (plan === "shop" ? DAY : 100 * DAY) })).toEqual([11, 12]);
  });
});
