import { describe, expect, it } from "vitest";
import { piecesOf, servePoint } from "../src/log/point-log.ts";
import { BY, DAY, garbageTrial, SETTINGS, trialId } from "./garbage-trial.ts";
import { logBytes, place, range, SHOP, STREAM, writeLog } from "./log-trial.ts";
import { restingPoint } from "./point-trial.ts";
import { namesIn } from "./trial.ts";

/** A base of 100 to 110, with the log up to 200 over it: a closed stretch up to 150, tails from there on. */
async function withLog() {
  const trial = await garbageTrial();
  const { repository, clock } = trial;
  const tail = (from: number, to: number) => repository.putTail(SHOP, range(from, to), logBytes(from, to));
  await writeLog(repository, "b1", range(100, 110), "full");
  await writeLog(repository, "log1", range(90, 150));
  await tail(150, 180);
  await tail(180, 200);
  const collect = async () => {
    for (let runs = 0; runs < 4; runs++) {
      await repository.collectGarbage({ settings: { ...SETTINGS, keepLogMs: () => DAY } });
      clock.pass(DAY);
    }
  };
  const objects = async () => [...(await namesIn(trial.store, "backups/")), ...(await namesIn(trial.store, "tails/"))];
  const serving = async (at: number) => {
    const log = await repository.sourceLog(SHOP);
    const rest = { ...SHOP, base: "b1", place: { stream: STREAM, at: place(at) } };
    return piecesOf(log, servePoint(log, rest)).pieces.map(({ type, range: { from, to } }) => `${type} ${from}-${to}`);
  };
  return { trial, tail, collect, objects, serving, [Symbol.asyncDispose]: () => trial[Symbol.asyncDispose]() };
}

describe("a point that rests on a base and its log", () => {
  it("is refused while the log has a hole before its place, and sealed once it is held", async () => {
    await using log = await withLog();
    const { repository } = log.trial;
    await expect(repository.sealPoint(restingPoint(1, "b1", place(210)))).rejects.toMatchObject({ code: "LOG_GAP" });
    expect(await repository.point(trialId(1))).toBeUndefined();
    await log.tail(205, 220);
    await expect(repository.sealPoint(restingPoint(1, "b1", place(210)))).rejects.toMatchObject({ code: "LOG_GAP" });
    await log.tail(200, 206);
    await repository.sealPoint(restingPoint(1, "b1", place(210)));
    expect(await log.serving(210)).toEqual([
      "closed 0090-0150",
      "tail 0150-0180",
      "tail 0180-0200",
      "tail 0200-0206",
      "tail 0205-0220",
    ]);
  });

  it("keeps the log from its base to its place, however old, and lets go of what lies behind", async () => {
    await using log = await withLog();
    const { repository, clock } = log.trial;
    await repository.sealPoint(restingPoint(1, "b1", place(170)));
    clock.pass(30 * DAY);
    // A later base, whose log is all that the time of the log asks for.
    await writeLog(repository, "b2", range(300, 310), "full");
    await writeLog(repository, "log3", range(295, 400));
    await repository.sealPoint(restingPoint(2, "b2", place(310)));
    clock.pass(2 * DAY);
    await log.collect();
    expect(await log.objects()).toEqual([
      "backups/b1",
      "backups/b2",
      "backups/log1",
      "backups/log3",
      "tails/orders/00000001/0150-0180-7",
    ]);
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    await repository.deletePoint(trialId(1), BY);
    clock.pass(2 * DAY);
    await log.collect();
    expect(await log.objects()).toEqual(["backups/b2", "backups/log3"]);
  });

  it("reads the closed stretch where tails were, once these have gone", async () => {
    await using log = await withLog();
    const { repository, clock } = log.trial;
    await repository.sealPoint(restingPoint(1, "b1", place(190)));
    await writeLog(repository, "log2", range(150, 250));
    clock.pass(2 * DAY);
    await log.collect();
    expect(await namesIn(log.trial.store, "tails/")).toEqual([]);
    expect(await log.serving(190)).toEqual(["closed 0090-0150", "closed 0150-0250"]);
  });

  it("comes back with its log when it is undeleted, also where that is condemned", async () => {
    await using log = await withLog();
    const { repository, clock } = log.trial;
    await repository.sealPoint(restingPoint(1, "b1", place(190)));
    await writeLog(repository, "b2", range(300, 310), "full");
    await writeLog(repository, "log3", range(295, 400));
    await repository.sealPoint(restingPoint(2, "b2", place(310)));
    clock.pass(10 * DAY);
    await repository.deletePoint(trialId(1), BY);
    clock.pass(2 * DAY);
    const { condemned } = await repository.collectGarbage({ settings: { ...SETTINGS, keepLogMs: () => DAY } });
    expect(condemned.objects).toBeGreaterThan(3);
    await repository.undeletePoint(trialId(1), BY);
    await log.collect();
    expect(await log.serving(190)).toHaveLength(3);
    expect((await repository.check({ readData: true })).problems).toEqual([]);
  });

  it("is hurt by damage of its log, which check says of it", async () => {
    await using log = await withLog();
    const { repository } = log.trial;
    await repository.sealPoint(restingPoint(1, "b1", place(190)));
    await log.trial.store.delete("tails/orders/00000001/0150-0180-7");
    expect((await repository.check()).problems).toMatchObject([
      { object: `points/${trialId(1)}`, why: expect.stringContaining("hole"), points: [trialId(1)] },
    ]);
  });

  it("has a base that no point named before, made beside the points: it stays as long as it is the newest", async () => {
    await using log = await withLog();
    const { clock } = log.trial;
    clock.pass(20 * DAY);
    await log.collect();
    expect(await log.objects()).toContain("backups/b1");
    expect(await log.serving(200)).toHaveLength(3);
  });
});
