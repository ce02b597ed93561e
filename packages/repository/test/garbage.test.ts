import { describe, expect, it } from "vitest";
import { BY, DAY, files, garbageTrial, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { head, namesIn, tarOf } from "./trial.ts";

const settings = { settings: SETTINGS };

describe("garbage", () => {
  it("of a deleted point goes when its time for an undelete and the grace have passed by the storage's clock", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    await trial.point(2, files(2));
    trial.clock.pass(2 * DAY);
    await trial.repository.deletePoint(trialId(1), BY);
    const all = await namesIn(trial.store, "packs/");
    const pinned = await trial.repository.planGarbage(settings);
    expect(pinned.pinned).toMatchObject([{ pin: "undelete", what: trialId(1) }]);
    expect(pinned.pinned[0]?.bytes).toBeGreaterThan(600_000);
    expect(pinned.freedNow.bytes).toBe(0);

    trial.clock.pass(DAY + 1);
    expect((await trial.repository.collectGarbage(settings)).condemned.bytes).toBeGreaterThan(600_000);
    expect(await namesIn(trial.store, "packs/")).toEqual(all);
    trial.clock.pass(DAY - 1);
    expect((await trial.repository.collectGarbage(settings)).freed.objects).toBe(0);
    trial.clock.pass(1);
    const plan = await trial.repository.planGarbage(settings);
    expect(plan.freedNow.bytes).toBeGreaterThan(600_000);
    const report = await trial.repository.collectGarbage(settings);
    expect(report.freed).toEqual(plan.freedNow);
    expect((await namesIn(trial.store, "packs/")).length).toBeLessThan(all.length);
    expect(await namesIn(trial.store, "points/")).toEqual([`points/${trialId(2)}`]);
    expect(await namesIn(trial.store, "backups/")).toEqual(["backups/b2"]);
    expect(await trial.restores(2, files(2))).toBe(true);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("is nothing that a second run would find: it changes no object", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    await trial.point(2, files(2));
    await trial.repository.deletePoint(trialId(1), BY);
    await trial.collectAll();
    const before = await namesIn(trial.store);
    await trial.repository.collectGarbage(settings);
    expect(await namesIn(trial.store)).toEqual(before);
    expect(before.filter((name) => name.startsWith("leases/"))).toEqual([]);
  });

  it("is not what a hold keeps, and the plan says so", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    const hold = await trial.repository.placeHold(trialId(1), { ...BY, reason: "a lawsuit" });
    trial.clock.pass(20 * DAY);
    await trial.collectAll();
    expect(await trial.restores(1, files(1))).toBe(true);
    await trial.repository.releaseHold(trialId(1), hold.holdId, BY);
    await trial.repository.deletePoint(trialId(1), BY);
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
    expect(await namesIn(trial.store, "holds/")).toEqual([]);
  });

  it("is not a complete backup that may still be sealed, for 7 days; one of more than 3 is not sealed any more", async () => {
    await using trial = await garbageTrial();
    await trial.repository.writeBackup(head("b1"), tarOf(files(1)));
    await trial.repository.writeBackup(head("b2"), tarOf(files(2)));
    trial.clock.pass(3 * DAY);
    await trial.repository.sealPoint(pointOf(1, ["b1"]));
    trial.clock.pass(1);
    await expect(trial.repository.sealPoint(pointOf(2, ["b2"]))).rejects.toMatchObject({ code: "BASE_GONE" });
    // In a point that is there, its age is no matter.
    await trial.repository.sealPoint(pointOf(3, ["b1"]));
    trial.clock.pass(4 * DAY - 2);
    expect((await trial.repository.planGarbage(settings)).pinned).toMatchObject([{ pin: "unsealed", what: "b2" }]);
    trial.clock.pass(1);
    await trial.collectAll();
    expect(await namesIn(trial.store, "backups/")).toEqual(["backups/b1"]);
  });

  it("in a pack that is needed in part is left until enough of it is waste; then what is needed is stored anew", async () => {
    await using trial = await garbageTrial();
    const [kept, gone] = [files(1, 1), files(2, 3)];
    await trial.repository.writeBackup(head("b1"), tarOf([...kept, ...gone]));
    await trial.repository.sealPoint(pointOf(1, ["b1"]));
    await trial.point(2, kept);
    await trial.repository.deletePoint(trialId(1), BY);
    const size = async () => {
      let sum = 0;
      for await (const object of trial.store.list("packs/")) sum += object.size;
      return sum;
    };
    const before = await size();
    trial.clock.pass(2 * DAY);
    const report = await trial.repository.collectGarbage(settings);
    expect(report.rewritten.packs).toBeGreaterThan(0);
    expect(await size()).toBeGreaterThan(before);
    await trial.collectAll();
    expect(await size()).toBeLessThan(before / 2);
    expect(await trial.restores(2, kept)).toBe(true);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
    await using other = await trial.open();
    expect(await trial.restores(2, kept, other)).toBe(true);
  });

  it("of more packs than one run condemns goes with the runs that follow, and the plan tells how much that is", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1, 30));
    await trial.point(2, files(2));
    const all = await namesIn(trial.store, "packs/");
    await trial.repository.deletePoint(trialId(1), BY);
    trial.clock.pass(2 * DAY);
    const few = { settings: { ...SETTINGS, mostPacks: 2 } };
    const whole = await trial.repository.planGarbage(settings);
    const plan = await trial.repository.planGarbage(few);
    const onlyIn = whole.freedOn.reduce((sum, each) => sum + each.objects, 0);
    expect(whole.later).toEqual({ objects: 0, bytes: 0 });
    expect(plan.later.objects).toBeGreaterThan(1);
    expect(plan.freedOn.reduce((sum, each) => sum + each.objects, plan.later.objects)).toBe(onlyIn);
    let runs = 0;
    for (let left = Number.POSITIVE_INFINITY; left > 0; runs++) {
      const report = await trial.repository.collectGarbage(few);
      trial.clock.pass(DAY);
      left = report.plan.later.objects + report.condemned.objects;
    }
    expect(runs).toBeGreaterThan(2);
    const left = await namesIn(trial.store, "packs/");
    expect(left.length).toBeLessThan(all.length - 3);
    expect(await trial.restores(2, files(2))).toBe(true);
    expect((await trial.repository.planGarbage(settings)).freedOn).toEqual([]);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("of an upload that broke off stays a day, for the next attempt, and then goes", async () => {
    await using trial = await garbageTrial();
    const broken = async function* () {
      let bytes = 0;
      for await (const piece of tarOf(files(1, 90))) {
        bytes += piece.length;
        if (bytes > 15_000_000) throw new Error("the source went away");
        yield piece;
      }
    };
    await expect(trial.repository.writeBackup(head("b1"), broken())).rejects.toThrow("went away");
    expect((await namesIn(trial.store, "packs/")).length).toBeGreaterThan(0);
    trial.clock.pass(DAY / 2);
    expect((await trial.repository.collectGarbage(settings)).condemned.objects).toBe(0);
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
  });

  it("is left alone where an index object is damaged, for nobody can tell what is needed", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    const [name = ""] = await namesIn(trial.store, "index/");
    const bytes = await trial.store.get(name);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await trial.store.put(name, bytes);
    await using other = await trial.open();
    await expect(other.collectGarbage(settings)).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: name });
  });

  it("is collected by one at a time; a claim that nobody renews ends by the storage's clock", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    await using other = await trial.open();
    const race = await Promise.allSettled([trial.repository.collectGarbage(settings), other.collectGarbage(settings)]);
    expect(race.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(race.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "ALREADY_RUNNING" } });
    expect(await namesIn(trial.store, "leases/")).toEqual([]);
  });
});

describe("what is condemned", () => {
  it("is not believed to be less than was seen before: a listing that lacks the newest generation is a failure", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    trial.clock.pass(2 * DAY);
    await trial.repository.deletePoint(trialId(1), BY);
    trial.clock.pass(DAY);
    let loses = false;
    const other = await trial.open({
      ...trial.store,
      async *list(prefix, options) {
        if (!(loses && prefix.startsWith("condemned/"))) yield* trial.store.list(prefix, options);
      },
    });
    await other.collectGarbage(settings);
    await other.writeBackup(head("b2"), tarOf(files(2)));
    loses = true;
    await expect(other.writeBackup(head("b3"), tarOf(files(1)))).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    loses = false;
    await other.writeBackup(head("b3"), tarOf(files(1)));
  });
});
