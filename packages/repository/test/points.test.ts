import { memoryStore } from "@stillpoint/object-store/memory";
import { describe, expect, it } from "vitest";
import { trialId as id, pointOf, proofOf } from "./point-trial.ts";
import { file, head, NOW, namesIn, noise, tarOf, trial } from "./trial.ts";

describe("a point", () => {
  it("is sealed once: the second time answers with what was sealed", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100))]));
    const point = pointOf(1, ["one"]);
    expect(await setup.repository.sealPoint(point)).toEqual(point);
    expect(await setup.repository.sealPoint({ ...point, plan: "other" })).toEqual(point);
    const race = await Promise.all(
      ["a", "b", "c"].map((plan) => setup.repository.sealPoint({ ...pointOf(2, ["one"]), plan })),
    );
    expect(new Set(race.map(({ plan }) => plan)).size).toBe(1);
    expect(await setup.repository.point(id(1))).toEqual(point);
    expect(await setup.repository.point(id(9))).toBeUndefined();
  });

  it("is refused, and not shown, while a backup of it is missing", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100))]));
    await expect(setup.repository.sealPoint(pointOf(1, ["one", "two"]))).rejects.toMatchObject({
      code: "BACKUP_UNKNOWN",
      where: "two",
    });
    expect(await Array.fromAsync(setup.repository.points())).toEqual([]);
  });

  it("is listed in the order of ids, from behind any of them", async () => {
    await using setup = await trial();
    for (const n of [3, 1, 2]) {
      await setup.repository.writeBackup(head(`b${n}`), tarOf([file("a", noise(n, 100))]));
      await setup.repository.sealPoint(pointOf(n, [`b${n}`]));
    }
    const points = async (after?: string) =>
      (await Array.fromAsync(setup.repository.points({ after }))).map(({ pointId }) => pointId);
    expect(await points()).toEqual([id(1), id(2), id(3)]);
    expect(await points(id(1))).toEqual([id(2), id(3)]);
    const backups = await Array.fromAsync(setup.repository.backups({ after: "b1" }));
    expect(backups.map(({ backupId }) => backupId)).toEqual(["b2", "b3"]);
  });

  it("whose backup is gone, or is another than the one that was sealed, is found by check", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100))]));
    await setup.repository.sealPoint(pointOf(1, ["one"]));
    await setup.store.delete("backups/one");
    const object = `points/${id(1)}`;
    expect((await setup.repository.check()).problems).toMatchObject([{ object, backups: ["one"] }]);
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(2, 100))]));
    expect((await setup.repository.check()).problems).toMatchObject([{ object, backups: ["one"] }]);
  });
});

describe("a proof", () => {
  it("lies beside its point, sealed once, and is read with its signature checked", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100))]));
    const [first, second] = [pointOf(1, ["one"]), pointOf(2, ["one"])];
    await setup.repository.sealPoint(first);
    await setup.repository.sealPoint(second);
    for (const n of [2, 1]) await setup.repository.sealProof(proofOf(n, first));
    await setup.repository.sealProof(proofOf(3, second, "fail"));
    expect(await setup.repository.sealProof(proofOf(3, second, "pass"))).toEqual(proofOf(3, second, "fail"));
    expect(await setup.repository.proofsOf(first.pointId)).toEqual([proofOf(1, first), proofOf(2, first)]);
    expect(await Array.fromAsync(setup.repository.proofs())).toHaveLength(3);
    expect((await setup.repository.check()).problems).toEqual([]);
  });

  it("of a point that does not exist is refused", async () => {
    await using setup = await trial();
    await expect(setup.repository.sealProof(proofOf(1, pointOf(1, ["one"])))).rejects.toMatchObject({
      code: "POINT_UNKNOWN",
    });
  });

  it("that was put under another point or changed is not believed", async () => {
    const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
    await using setup = await trial(
      undefined,
      memoryStore(() => NOW, objects),
    );
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100))]));
    const [first, second] = [pointOf(1, ["one"]), pointOf(2, ["one"])];
    await setup.repository.sealPoint(first);
    await setup.repository.sealPoint(second);
    await setup.repository.sealProof(proofOf(1, first));
    const [name = ""] = await namesIn(setup.store, "proofs/");
    const moved = `proofs/${second.pointId}/${id(3001)}`;
    const held = objects.get(name);
    if (held !== undefined) objects.set(moved, held);
    await expect(setup.repository.proofsOf(second.pointId)).rejects.toMatchObject({
      code: "OBJECT_DAMAGED",
      where: moved,
    });
    expect((await setup.repository.check()).problems.map(({ object }) => object)).toEqual([moved]);
  });
});
