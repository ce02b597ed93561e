import { describe, expect, it } from "vitest";
import type { GarbageSettings } from "../src/garbage/settings.ts";
import { BY, DAY, files, garbageTrial, SETTINGS, trialId } from "./garbage-trial.ts";
import { logBytes, range, SHOP, writeLog } from "./log-trial.ts";
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

/** A base at 100 that is in a point, and then time goes by. */
async function withBase() {
  const trial = await garbageTrial();
  const { repository, clock } = trial;
  const tail = (from: number, to: number, by = SHOP) => repository.putTail(by, range(from, to), logBytes(from, to));
  const base = async (n: number, from: number, to: number) => {
    await writeLog(repository, `b${n}`, range(from, to), "full");
    await repository.sealPoint(pointOf(n, [`b${n}`]));
  };
  const collect = async (keep?: Keep) => {
    for (let runs = 0; runs < 4; runs++) {
      await repository.collectGarbage({ settings: { ...SETTINGS, ...keep } });
      clock.pass(DAY);
    }
  };
  const tails = async () =>
    (await namesIn(trial.store, "tails/")).map((name) => name.replace(/^.*\/(\d+)-(\d+)-(\d+)$/, "$1-$2 $3"));
  return { trial, tail, base, collect, tails, [Symbol.asyncDispose]: () => trial[Symbol.asyncDispose]() };
}

describe("tails", () => {
  it("go once a closed stretch that is kept holds their range, and no sooner", async () => {
    await using log = await withBase();
    await log.base(1, 100, 110);
    await log.tail(100, 150);
    await log.tail(150, 200);
    await log.tail(190, 240);
    await log.collect();
    expect(await log.tails()).toEqual(["0100-0150 7", "0150-0200 7", "0190-0240 7"]);
    await writeLog(log.trial.repository, "log1", range(90, 170));
    await log.collect();
    expect(await log.tails()).toEqual(["0150-0200 7", "0190-0240 7"]);
    // Two closed stretches without a hole between hold it together.
    await writeLog(log.trial.repository, "log2", range(170, 230));
    await log.tail(230, 250);
    const { condemned } = await log.trial.repository.collectGarbage({ settings: SETTINGS });
    expect(condemned.objects).toBe(1);
    await log.collect();
    expect(await log.tails()).toEqual(["0190-0240 7", "0230-0250 7"]);
    const { closed, tails } = await log.trial.repository.sourceLog(SHOP);
    expect([closed.length, tails.length]).toEqual([2, 2]);
    expect((await log.trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("stay where the closed stretch of their range cannot be read", async () => {
    await using log = await withBase();
    await log.base(1, 100, 110);
    await log.tail(100, 150);
    await writeLog(log.trial.repository, "log1", range(90, 170));
    const bytes = await log.trial.store.get("backups/log1");
    bytes[80] = (bytes[80] ?? 0) ^ 1;
    await log.trial.store.put("backups/log1", bytes);
    await using other = await log.trial.open();
    for (let runs = 0; runs < 4; runs++) {
      expect((await other.collectGarbage({ settings: SETTINGS })).plan.broken).toEqual(["log1"]);
      log.trial.clock.pass(DAY);
    }
    expect(await log.tails()).toEqual(["0100-0150 7"]);
  });

  it("stay, and nothing else does, where one of them cannot be read itself", async () => {
    await using log = await withBase();
    await log.base(1, 100, 110);
    await log.tail(100, 150);
    await log.tail(150, 160);
    await writeLog(log.trial.repository, "log1", range(90, 170));
    const [name = ""] = await namesIn(log.trial.store, "tails/");
    const bytes = await log.trial.store.get(name);
    bytes[80] = (bytes[80] ?? 0) ^ 1;
    await log.trial.store.put(name, bytes);
    await log.collect();
    expect(await log.tails()).toEqual(["0100-0150 7"]);
  });

  it("and closed stretches go when the time of their log is over, and not what the base of that time needs", async () => {
    await using log = await withBase();
    const { repository, clock } = log.trial;
    await log.base(1, 100, 110);
    await log.tail(100, 200);
    await writeLog(repository, "log1", range(200, 300));
    // Shipped while the next base was made, and stored before it.
    await log.tail(290, 320);
    await writeLog(repository, "log2", range(320, 400));
    clock.pass(10 * DAY);
    await log.base(2, 310, 390);
    clock.pass(10 * DAY);
    const backups = () => namesIn(log.trial.store, "backups/log");
    await log.collect({ keepLogMs: () => 15 * DAY });
    expect(await log.tails()).toEqual(["0100-0200 7", "0290-0320 7"]);
    await log.collect({ keepLogMs: () => 3 * DAY });
    expect(await log.tails()).toEqual(["0290-0320 7"]);
    expect(await backups()).toEqual(["backups/log2"]);
    expect((await repository.sourceLog(SHOP)).fulls).toHaveLength(2);
  });

  it("of one plan are not judged by the log of another whose source has the same name", async () => {
    await using log = await withBase();
    await log.base(1, 100, 110);
    await log.tail(100, 150, { ...SHOP, plan: "billing", fenceToken: 8 });
    await log.tail(100, 150);
    await log.tail(10, 90, { ...SHOP, plan: "billing", fenceToken: 8 });
    await writeLog(log.trial.repository, "log1", range(90, 170));
    log.trial.clock.pass(10 * DAY);
    await log.collect({ keepLogMs: () => DAY });
    expect(await log.tails()).toEqual(["0010-0090 8", "0100-0150 8"]);
  });
});

describe("the log of a point that was deleted", () => {
  it("stays for the time of the log, so that what it superseded may have gone", async () => {
    await using log = await withBase();
    const { repository } = log.trial;
    await log.base(1, 100, 110);
    await log.tail(110, 150);
    await writeLog(repository, "log1", range(100, 150));
    await repository.sealPoint(pointOf(2, ["b1", "log1"]));
    log.trial.clock.pass(3 * DAY);
    await log.collect();
    expect(await log.tails()).toEqual([]);
    await repository.deletePoint(trialId(2), BY);
    log.trial.clock.pass(10 * DAY);
    await log.collect();
    expect(await namesIn(log.trial.store, "backups/")).toEqual(["backups/b1", "backups/log1"]);
    await repository.deletePoint(trialId(1), BY);
    await log.collect();
    expect(await namesIn(log.trial.store, "backups/b")).toEqual([]);
  });
});
