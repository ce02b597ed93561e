import { describe, expect, it } from "vitest";
import { planRepair } from "../src/repair/repair-plan.ts";
import { BY, DAY, files, type GarbageTrial, garbageTrial, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { head, NOW, namesIn, tarOf } from "./trial.ts";

const settings = { settings: SETTINGS };

/** The same files twice, by two writers at once; only the backup of the first is in a point. */
async function storedTwice(): Promise<{ trial: GarbageTrial; needed: string[]; spare: string[] }> {
  await using writers = await garbageTrial();
  const other = await writers.open();
  await Promise.all([
    writers.repository.writeBackup(head("b1"), tarOf(files(1))),
    other.writeBackup(head("b2"), tarOf(files(1))),
  ]);
  await writers.repository.sealPoint(pointOf(1, ["b1"]));
  writers.clock.pass(8 * DAY);
  const all = await namesIn(writers.store, "packs/");
  const trial = await garbageTrial(writers);
  // What a collection of an equal repository leaves is what it takes for needed.
  await using equal = await garbageTrial(writers);
  await equal.collectAll();
  const needed = await namesIn(equal.store, "packs/");
  return { trial, needed, spare: all.filter((name) => !needed.includes(name)) };
}

async function repaired({ repository, store }: GarbageTrial) {
  const of = { repositoryId: repository.id, url: store.url, madeAt: new Date(NOW).toISOString() };
  return repository.repair(planRepair(await repository.check({ readData: true }), of));
}

describe("a pack that is needed and is not as it must be", () => {
  it.each(["missing", "cut short"])(
    "%s: nothing is collected, for what looks like garbage may hold the same",
    async (how) => {
      const { trial, needed, spare } = await storedTwice();
      await using _ = trial;
      expect(spare.length).toBeGreaterThan(0);
      const [pack = ""] = needed;
      const held = trial.objects.get(pack);
      trial.objects.delete(pack);
      if (how === "cut short" && held !== undefined)
        trial.objects.set(pack, { ...held, bytes: held.bytes.subarray(0, held.bytes.length / 2) });
      for (let runs = 0; runs < 3; runs++) {
        await expect(trial.repository.collectGarbage(settings)).rejects.toMatchObject({
          code: "OBJECT_DAMAGED",
          where: pack,
        });
        trial.clock.pass(2 * DAY);
      }
      await repaired(trial);
      await trial.collectAll();
      expect(await trial.restores(1, files(1))).toBe(true);
      expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
    },
  );

  it("of a backup that nothing keeps is nobody's concern", async () => {
    const { trial, spare } = await storedTwice();
    await using _ = trial;
    for (const pack of spare) trial.objects.delete(pack);
    await trial.collectAll();
    expect(await trial.restores(1, files(1))).toBe(true);
    await trial.repository.deletePoint(trialId(1), BY);
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
  });
});
