import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { newestChanges, type StoredChange } from "../src/changes/newest.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { file, head, NOW, namesIn, noise, open, SMALL, type Trial, tarOf, trial } from "./trial.ts";

const BY = { by: "a test" };

async function withPoints(setup: Trial, ...numbers: number[]): Promise<void> {
  for (const n of numbers) {
    await setup.repository.writeBackup(head(`b${n}`), tarOf([file("a", noise(n, 100_000))]));
    await setup.repository.sealPoint(pointOf(n, [`b${n}`]));
  }
}

/** The store, with something done before the first put of a name that begins so. */
function beforePut(store: ObjectStore, prefix: string, work: () => Promise<unknown>): ObjectStore {
  let isDone = false;
  return {
    ...store,
    async put(name, body, options) {
      if (!isDone && name.startsWith(prefix)) {
        isDone = true;
        await work();
      }
      await store.put(name, body, options);
    },
  };
}

const listed = async ({ repository }: Pick<Trial, "repository">) =>
  (await Array.fromAsync(repository.points())).map(({ pointId }) => pointId);

describe("a deleted point", () => {
  it("is listed no more, and can be undeleted", async () => {
    await using setup = await trial();
    await withPoints(setup, 1, 2);
    await setup.repository.deletePoint(trialId(1), { ...BY, reason: "too old" });
    expect(await listed(setup)).toEqual([trialId(2)]);
    const states = await Array.fromAsync(setup.repository.pointStates());
    expect(states.map(({ point, deletion }) => [point.pointId, deletion?.reason])).toEqual([
      [trialId(1), "too old"],
      [trialId(2), undefined],
    ]);
    await setup.repository.undeletePoint(trialId(1), BY);
    expect(await listed(setup)).toEqual([trialId(1), trialId(2)]);
  });

  it("is deleted once: the second order changes no object", async () => {
    await using setup = await trial();
    await withPoints(setup, 1);
    await setup.repository.deletePoint(trialId(1), BY);
    const before = await namesIn(setup.store);
    await setup.repository.deletePoint(trialId(1), BY);
    expect(await namesIn(setup.store)).toEqual(before);
    await expect(setup.repository.deletePoint(trialId(9), BY)).rejects.toMatchObject({ code: "POINT_UNKNOWN" });
  });

  it("has its time counted by the storage's clock, not by ours", async () => {
    let storageMs = NOW + 86_400_000;
    const store = memoryStore(() => storageMs);
    await using setup = await trial(SMALL, store);
    await withPoints(setup, 1);
    storageMs += 1_000;
    await setup.repository.deletePoint(trialId(1), BY);
    const [state] = await Array.fromAsync(setup.repository.pointStates());
    expect(state?.deletion?.atMs).toBe(storageMs);
  });

  it("is not undeleted when a pack of it is gone, and stays deleted", async () => {
    await using setup = await trial();
    await withPoints(setup, 1);
    await setup.repository.deletePoint(trialId(1), BY);
    const [pack = ""] = await namesIn(setup.store, "packs/");
    await setup.store.delete(pack);
    await expect(setup.repository.undeletePoint(trialId(1), BY)).rejects.toMatchObject({
      code: "OBJECT_DAMAGED",
      where: pack,
    });
    expect(await listed(setup)).toEqual([]);
  });
});

describe("a hold", () => {
  it("refuses the deletion of its point until it is released", async () => {
    await using setup = await trial();
    await withPoints(setup, 1);
    const hold = await setup.repository.placeHold(trialId(1), { ...BY, reason: "a lawsuit" });
    await expect(setup.repository.deletePoint(trialId(1), BY)).rejects.toMatchObject({
      code: "CONFLICT",
      why: "a hold is on it: a lawsuit",
    });
    const [state] = await Array.fromAsync(setup.repository.pointStates());
    expect(state?.holds).toEqual([hold]);
    await setup.repository.releaseHold(trialId(1), hold.holdId, BY);
    await setup.repository.releaseHold(trialId(1), hold.holdId, BY);
    expect((await namesIn(setup.store, "changes/")).length).toBe(1);
    await setup.repository.deletePoint(trialId(1), BY);
    expect(await listed(setup)).toEqual([]);
  });

  it("ends with its time by the storage's clock", async () => {
    let storageMs = NOW;
    await using setup = await trial(
      SMALL,
      memoryStore(() => storageMs),
    );
    await withPoints(setup, 1);
    await setup.repository.placeHold(trialId(1), { ...BY, reason: "a week", until: "2026-01-09T00:00:00.000Z" });
    await expect(setup.repository.deletePoint(trialId(1), BY)).rejects.toMatchObject({ code: "CONFLICT" });
    storageMs = Date.UTC(2026, 0, 10);
    await setup.repository.deletePoint(trialId(1), BY);
    expect(await listed(setup)).toEqual([]);
  });

  it("that is placed while its point is being deleted wins, or says that it came too late", async () => {
    await using setup = await trial();
    await withPoints(setup, 1, 2);
    const hold = { ...BY, reason: "a lawsuit" };
    // Between the look for holds and the word that it is deleted.
    await using slow = await open(
      beforePut(setup.store, "changes/", () => setup.repository.placeHold(trialId(1), hold)),
    );
    await expect(slow.deletePoint(trialId(1), BY)).rejects.toMatchObject({
      code: "CONFLICT",
      why: "a hold is on it: a lawsuit",
    });
    expect(await listed(setup)).toEqual([trialId(1), trialId(2)]);
    // And between the look for a deletion and the hold.
    await using late = await open(beforePut(setup.store, "holds/", () => setup.repository.deletePoint(trialId(2), BY)));
    await expect(late.placeHold(trialId(2), hold)).rejects.toMatchObject({ code: "CONFLICT" });
    const states = await Array.fromAsync(setup.repository.pointStates());
    expect(states.map(({ deletion, holds }) => [deletion !== undefined, holds.length])).toEqual([
      [false, 1],
      [true, 0],
    ]);
  });

  it("is not placed on what is deleted or not there, and what is not there is not released", async () => {
    await using setup = await trial();
    await withPoints(setup, 1);
    await setup.repository.deletePoint(trialId(1), BY);
    const hold = { ...BY, reason: "late" };
    await expect(setup.repository.placeHold(trialId(1), hold)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(setup.repository.placeHold(trialId(2), hold)).rejects.toMatchObject({ code: "POINT_UNKNOWN" });
    await setup.repository.undeletePoint(trialId(1), BY);
    const over = { ...hold, until: new Date(NOW).toISOString() };
    await expect(setup.repository.placeHold(trialId(1), over)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(setup.repository.releaseHold(trialId(1), trialId(3), BY)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("the newest change", () => {
  const change = (sequence: number, n: number, what: StoredChange["change"], object = "points/a"): StoredChange => ({
    changeId: trialId(n),
    sequence,
    change: what,
    object,
    detail: {},
    by: "a test",
    at: "2026-01-02T03:04:05.000Z",
    storedMs: 0,
  });

  it("is that of the highest sequence, then of the highest id, in whatever order they are read", () => {
    const changes = [change(1, 9, "delete"), change(2, 1, "undelete"), change(2, 2, "delete")];
    for (const order of [changes, [...changes].reverse()])
      expect(newestChanges(order).of("existence", "points/a")?.changeId).toBe(trialId(2));
  });

  it("of a tag does not take a deletion back", () => {
    const newest = newestChanges([change(1, 1, "delete"), change(2, 2, "tag")]);
    expect(newest.of("existence", "points/a")?.change).toBe("delete");
    expect(newest.of("tag", "points/a")?.change).toBe("tag");
  });

  it("is the same for both of two who append at once", async () => {
    await using setup = await trial();
    await withPoints(setup, 1);
    await setup.repository.deletePoint(trialId(1), BY);
    await using other = await open(setup.store);
    await Promise.all([
      setup.repository.undeletePoint(trialId(1), BY),
      other.undeletePoint(trialId(1), BY),
      setup.repository.deletePoint(trialId(1), BY),
    ]);
    expect(await listed(setup)).toEqual(await listed({ repository: other }));
  });
});
