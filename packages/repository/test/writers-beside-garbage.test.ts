import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { BY, DAY, files, garbageTrial, LEASE_MS, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { digests, head, namesIn, tarOf, unpack } from "./trial.ts";

const settings = { settings: SETTINGS };
const grace = SETTINGS.graceMs;

/** The store, with something done before or after the first put of a name that begins so. */
function around(store: ObjectStore, prefix: string, when: "before" | "after", work: () => Promise<void>): ObjectStore {
  let done = false;
  return {
    ...store,
    async put(name, body, options) {
      const isIt = !done && name.startsWith(prefix);
      done ||= isIt;
      if (isIt && when === "before") await work();
      await store.put(name, body, options);
      if (isIt && when === "after") await work();
    },
  };
}

/** A deleted point whose packs are condemned, and no more. */
async function condemnedPoint() {
  const trial = await garbageTrial();
  await trial.point(1, files(1));
  trial.clock.pass(2 * DAY);
  await trial.repository.deletePoint(trialId(1), BY);
  trial.clock.pass(DAY);
  return { trial, condemn: () => trial.repository.collectGarbage(settings).then(() => undefined) };
}

describe("a writer", () => {
  it("stores anew what lies in packs that were condemned before it began", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    await condemn();
    await trial.point(2, files(1));
    await trial.collectAll();
    expect(await trial.restores(2, files(1))).toBe(true);
  });

  it("stores anew what it had leaned on when that is condemned before its manifest", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    const before = await namesIn(trial.store, "packs/");
    // Its last pack is stored when everything else was leaned on.
    const slow = await trial.open(around(trial.store, "packs/", "before", condemn));
    const figures = await slow.writeBackup(head("b2"), tarOf([...files(1), ...files(2, 1)]));
    expect(figures.storedBytes).toBeLessThan(300_000);
    expect((await namesIn(trial.store, "packs/")).length).toBeGreaterThan(before.length);
    await trial.repository.sealPoint(pointOf(2, ["b2"]));
    await trial.collectAll();
    expect(await trial.restores(2, [...files(1), ...files(2, 1)])).toBe(true);
    expect((await namesIn(trial.store, "packs/")).filter((name) => before.includes(name))).toEqual([]);
  });

  it("whose manifest comes just after its packs were condemned keeps them: the roots are walked again", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    const slow = await trial.open(around(trial.store, "backups/", "before", condemn));
    await slow.writeBackup(head("b2"), tarOf(files(1)));
    // The seal finds a newer generation than the manifest's, walks, and stores anew.
    await trial.repository.sealPoint(pointOf(2, ["b2"]));
    await trial.collectAll();
    expect(await trial.restores(2, files(1))).toBe(true);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("that is asleep before its manifest until all is swept says so, and its backup is not sealed", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    const slow = await trial.open(
      around(trial.store, "backups/", "before", async () => {
        await condemn();
        trial.clock.pass(grace + LEASE_MS);
        await condemn();
      }),
    );
    await expect(slow.writeBackup(head("b2"), tarOf(files(1)))).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await namesIn(trial.store, "backups/")).toContain("backups/b2");
    // Being present is not enough, for a seal and for whoever sends it again.
    await expect(trial.repository.sealPoint(pointOf(2, ["b2"]))).rejects.toThrow();
    await expect(trial.repository.writeBackup(head("b2"), tarOf(files(1)))).rejects.toMatchObject({
      code: "OBJECT_DAMAGED",
    });
    expect(await Array.fromAsync(trial.repository.points())).toEqual([]);
    await trial.repository.writeBackup(head("b3"), tarOf(files(1)));
    await trial.repository.sealPoint(pointOf(3, ["b3"]));
    await trial.collectAll();
    expect(await trial.restores(3, files(1))).toBe(true);
  });

  it("that is asleep after its manifest for half its lease does not answer that all is well", async () => {
    await using trial = await garbageTrial();
    const slow = await trial.open(around(trial.store, "backups/", "after", async () => trial.clock.pass(LEASE_MS / 2)));
    await expect(slow.writeBackup(head("b1"), tarOf(files(1)))).rejects.toMatchObject({ code: "LEASE_LOST" });
    const quick = await trial.open(
      around(trial.store, "backups/", "after", async () => trial.clock.pass(LEASE_MS / 2 - 1)),
    );
    await quick.writeBackup(head("b2"), tarOf(files(1)));
  });

  it("keeps a sweep waiting while its lease lives, and no longer", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    const packs = await namesIn(trial.store, "packs/");
    const waited: string[][] = [];
    const tar = async function* () {
      yield* tarOf(files(3));
      await condemn();
      trial.clock.pass(grace - LEASE_MS / 2);
      // Its lease still lives when the grace is over.
      trial.clock.pass(LEASE_MS / 2 - 1);
      await condemn();
      waited.push(await namesIn(trial.store, "packs/"));
    };
    await trial.repository.writeBackup(head("b2"), tar()).catch(() => undefined);
    expect(waited[0]).toEqual(expect.arrayContaining(packs));
    await trial.collectAll();
    expect((await namesIn(trial.store, "packs/")).filter((name) => packs.includes(name))).toEqual([]);
  });

  it("loses none of its own packs to a collector at work beside it, however young objects may be condemned", async () => {
    await using trial = await garbageTrial();
    const eager = { settings: { ...SETTINGS, youngMs: 0 } };
    const tar = async function* () {
      let bytes = 0;
      for await (const piece of tarOf(files(1, 90))) {
        yield piece;
        bytes += piece.length;
        if (bytes < 6_000_000) continue;
        bytes = 0;
        trial.clock.pass(LEASE_MS / 10);
        await trial.repository.collectGarbage(eager);
      }
    };
    await trial.repository.writeBackup(head("b1"), tar());
    await trial.repository.sealPoint(pointOf(1, ["b1"]));
    expect(digests(await unpack(trial.repository.readBackup("b1")))).toEqual(digests(files(1, 90)));
  });

  it("of another process that slept through a whole collection leans on nothing that is gone", async () => {
    const { trial } = await condemnedPoint();
    await using _ = trial;
    const sleeper = await trial.open();
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
    await sleeper.writeBackup(head("b2"), tarOf(files(1)));
    await sleeper.sealPoint(pointOf(2, ["b2"]));
    expect(await trial.restores(2, files(1), sleeper)).toBe(true);
  });
});

describe("a seal", () => {
  it("that is asleep before its point until the backup is swept answers LEASE_LOST, and leaves no point", async () => {
    await using trial = await garbageTrial();
    await trial.repository.writeBackup(head("b1"), tarOf(files(1)));
    const slow = await trial.open(
      around(trial.store, "points/", "before", async () => {
        for (let i = 0; i < 3; i++) {
          trial.clock.pass(8 * DAY);
          await trial.repository.collectGarbage(settings);
        }
      }),
    );
    await expect(slow.sealPoint(pointOf(1, ["b1"]))).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await namesIn(trial.store, "backups/")).toEqual([]);
    expect(await Array.fromAsync(trial.repository.points())).toEqual([]);
  });

  it("that was too late by little is made good by the next try", async () => {
    await using trial = await garbageTrial();
    await trial.repository.writeBackup(head("b1"), tarOf(files(1)));
    const slow = await trial.open(around(trial.store, "points/", "after", async () => trial.clock.pass(LEASE_MS)));
    await expect(slow.sealPoint(pointOf(1, ["b1"]))).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await Array.fromAsync(trial.repository.points())).toEqual([]);
    await trial.repository.sealPoint(pointOf(1, ["b1"]));
    expect((await Array.fromAsync(trial.repository.points())).length).toBe(1);
  });

  it("that another try answered for is not deleted by the one that slept past its lease", async () => {
    await using trial = await garbageTrial();
    await trial.repository.writeBackup(head("b1"), tarOf(files(1)));
    const slow = await trial.open(
      around(trial.store, "points/", "after", async () => {
        trial.clock.pass(LEASE_MS);
        await trial.repository.sealPoint(pointOf(1, ["b1"]));
      }),
    );
    await slow
      .sealPoint(pointOf(1, ["b1"]))
      .catch((error: unknown) => expect(error).toMatchObject({ code: "LEASE_LOST" }));
    expect((await Array.fromAsync(trial.repository.points())).length).toBe(1);
    await trial.collectAll();
    expect(await trial.restores(1, files(1))).toBe(true);
  });
});

describe("an undelete", () => {
  it("within the time for it, or within the grace, brings the point back for good, and spares its packs", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    const packs = await namesIn(trial.store, "packs/");
    await condemn();
    trial.clock.pass(grace - 1);
    await trial.repository.undeletePoint(trialId(1), BY);
    // Writers lean on them again.
    await trial.repository.writeBackup(head("b2"), tarOf(files(1)));
    expect(await namesIn(trial.store, "packs/")).toEqual(packs);
    await trial.collectAll();
    expect(await trial.restores(1, files(1))).toBe(true);
  });

  it("that begins before the sweep looked for leases wins; one that begins later says that it is too late", async () => {
    for (const prefix of ["early", "late"]) {
      const { trial, condemn } = await condemnedPoint();
      await using _ = trial;
      await condemn();
      trial.clock.pass(grace);
      const outcome: unknown[] = [];
      const undelete = async () => {
        const other = await trial.open();
        await other.undeletePoint(trialId(1), BY).then(
          () => outcome.push("undeleted"),
          (error: unknown) => outcome.push(error),
        );
      };
      // The announcement of the sweep is the next object below condemned/.
      const when = prefix === "early" ? "before" : "after";
      const collector = await trial.open(around(trial.store, "condemned/", when, undelete));
      await collector.collectGarbage(settings);
      await trial.collectAll();
      if (prefix === "early") {
        expect(outcome).toEqual(["undeleted"]);
        expect(await trial.restores(1, files(1))).toBe(true);
      } else {
        expect(outcome).toMatchObject([{ code: "BASE_GONE" }]);
        expect(await namesIn(trial.store, "points/")).toEqual([]);
      }
    }
  });

  it("that is asleep while the point is swept says that it is too late", async () => {
    const { trial, condemn } = await condemnedPoint();
    await using _ = trial;
    await condemn();
    const slow = await trial.open(
      around(trial.store, "changes/", "before", async () => {
        trial.clock.pass(grace + LEASE_MS);
        await condemn();
      }),
    );
    await expect(slow.undeletePoint(trialId(1), BY)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await Array.fromAsync(trial.repository.points())).toEqual([]);
  });

  it("that falls asleep once it was said leaves alone what another has answered meanwhile", async () => {
    const { trial } = await condemnedPoint();
    await using _ = trial;
    const slow = await trial.open(
      around(trial.store, "changes/", "after", async () => {
        await trial.repository.undeletePoint(trialId(1), BY);
        trial.clock.pass(LEASE_MS);
      }),
    );
    await expect(slow.undeletePoint(trialId(1), BY)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await trial.collectAll();
    expect(await Array.fromAsync(trial.repository.points())).toHaveLength(1);
    expect(await trial.restores(1, files(1))).toBe(true);
  });

  it("looks at everything itself where another has only begun to say so, and that one's failure is not its own", async () => {
    const { trial } = await condemnedPoint();
    await using _ = trial;
    const [pack = ""] = await namesIn(trial.store, "packs/");
    const outcome: unknown[] = [];
    const first = await trial.open(
      around(trial.store, "changes/", "after", async () => {
        await trial.store.delete(pack);
        await trial.repository.undeletePoint(trialId(1), BY).catch((error: unknown) => outcome.push(error));
      }),
    );
    await expect(first.undeletePoint(trialId(1), BY)).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: pack });
    expect(outcome).toMatchObject([{ code: "OBJECT_DAMAGED", where: pack }]);
    expect(await Array.fromAsync(trial.repository.points())).toEqual([]);
  });
});

describe("a reader", () => {
  it("holds a lease on what it reads: a point that is deleted and swept meanwhile comes whole", async () => {
    await using trial = await garbageTrial();
    const many = files(1, 60);
    await trial.point(1, many);
    trial.clock.pass(2 * DAY);
    const watched = async function* () {
      let first = true;
      for await (const piece of trial.repository.readBackup("b1")) {
        yield piece;
        if (!first) continue;
        first = false;
        await expect.poll(() => namesIn(trial.store, "leases/")).toHaveLength(1);
        await trial.repository.deletePoint(trialId(1), BY);
        trial.clock.pass(LEASE_MS / 2);
        const none = { settings: { undeleteMs: 0, graceMs: 0, youngMs: 0 } };
        for (let i = 0; i < 3; i++) await trial.repository.collectGarbage(none);
        expect((await trial.repository.planGarbage(none)).pinned).toMatchObject([{ pin: "lease" }]);
      }
    };
    expect(digests(await unpack(watched()))).toEqual(digests(many));
    expect(await namesIn(trial.store, "leases/")).toEqual([]);
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
  });

  it("that may not write reads all the same, and looks again for what was stored anew meanwhile", async () => {
    await using trial = await garbageTrial();
    const [kept, gone] = [files(1, 1), files(2, 3)];
    await trial.point(1, [...kept, ...gone]);
    await trial.point(2, kept);
    const denied = { ...trial.store, put: () => Promise.reject(new Error("unreachable: it takes no lease")) };
    const { StillpointError } = await import("@stillpoint/contracts/errors");
    denied.put = () => Promise.reject(new StillpointError("STORE_DENIED", { what: "Cannot write an object" }));
    const reader = await trial.open(denied);
    await trial.repository.deletePoint(trialId(1), BY);
    const before = await namesIn(trial.store, "packs/");
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).not.toEqual(before);
    expect(await trial.restores(2, kept, reader)).toBe(true);
  });
});
