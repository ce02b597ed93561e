import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { claimExclusive } from "../src/garbage/claim.ts";
import { openKeys } from "../src/keys/key-context.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { beginEpoch, planEpoch } from "../src/keys/new-epoch.ts";
import { passphraseOpener } from "../src/keys/passphrase.ts";
import { BY, DAY, files, type GarbageTrial, garbageTrial, LEASE_MS, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { head, NOW, namesIn, PASSPHRASE, randomFrom, tarOf } from "./trial.ts";

const settings = { settings: SETTINGS };

/** Takes so many writes and deletions, and answers nothing at all afterwards: its process is gone. */
function dyingAfter(store: ObjectStore, writes: number): { store: ObjectStore; died: () => boolean } {
  let left = writes;
  let dead = false;
  const alive = (cost: number) => {
    dead ||= left < cost;
    left -= cost;
    if (dead) throw new StillpointError("STORE_UNREACHABLE", { what: "The process died" });
  };
  return {
    died: () => dead,
    store: {
      ...store,
      async put(...args) {
        alive(1);
        await store.put(...args);
      },
      async delete(...args) {
        alive(1);
        await store.delete(...args);
      },
      async get(...args) {
        alive(0);
        return store.get(...args);
      },
      async head(...args) {
        alive(0);
        return store.head(...args);
      },
      async *list(...args) {
        alive(0);
        yield* store.list(...args);
      },
    },
  };
}

/** Everything at once: something to sweep, a pack to write anew, something to condemn, a released hold, outdated changes. */
async function eventful(): Promise<GarbageTrial> {
  const trial = await garbageTrial();
  await trial.point(1, files(1));
  await trial.point(2, [...files(2), ...files(3, 1)]);
  await trial.point(3, files(3, 1));
  await trial.point(4, files(4));
  await trial.point(5, files(5));
  const hold = await trial.repository.placeHold(trialId(5), { ...BY, reason: "for a while" });
  trial.clock.pass(2 * DAY);
  await trial.repository.deletePoint(trialId(5), BY).catch(() => undefined);
  await trial.repository.deletePoint(trialId(1), BY);
  await trial.repository.releaseHold(trialId(5), hold.holdId, BY);
  trial.clock.pass(DAY);
  await trial.repository.collectGarbage(settings);
  await trial.repository.deletePoint(trialId(2), BY);
  await trial.repository.deletePoint(trialId(4), BY);
  await trial.repository.undeletePoint(trialId(4), BY);
  await trial.repository.deletePoint(trialId(5), BY);
  trial.clock.pass(DAY);
  return trial;
}

const kinds = async (store: ObjectStore) =>
  (await namesIn(store)).filter((name) => /^(points|backups|holds|proofs|tails|leases)\//.test(name));
const packBytes = async (store: ObjectStore) => {
  let sum = 0;
  for await (const { size } of store.list("packs/")) sum += size;
  return sum;
};

describe("a collection that breaks off", () => {
  it("after any of its writes and deletions, and is run again, comes to the same; nothing kept is ever missing", async () => {
    await using base = await eventful();
    await using undisturbed = await garbageTrial(base);
    await undisturbed.collectAll();
    const expected = await kinds(undisturbed.store);
    expect(expected.filter((name) => name.startsWith("points/"))).toHaveLength(2);
    let broken = 0;
    for (let writes = 0; ; writes++) {
      await using trial = await garbageTrial(base);
      const { store, died } = dyingAfter(trial.store, writes);
      const dying = await trial.open(store);
      await dying.collectGarbage(settings).catch(() => undefined);
      if (!died()) break;
      broken++;
      expect((await trial.repository.check({ readData: true })).problems, `after ${writes}`).toEqual([]);
      await trial.collectAll();
      expect(await kinds(trial.store), `after ${writes}`).toEqual(expected);
      expect(await packBytes(trial.store), `after ${writes}`).toBe(await packBytes(undisturbed.store));
      expect(await trial.restores(3, files(3, 1))).toBe(true);
      expect(await trial.restores(4, files(4))).toBe(true);
    }
    expect(broken).toBeGreaterThan(12);
  });

  it("in the middle of a sweep leaves what it had begun to the next, and a point in it cannot be undeleted any more", async () => {
    await using trial = await eventful();
    const { store } = dyingAfter(trial.store, 3);
    const dying = await trial.open(store);
    await expect(dying.collectGarbage(settings)).rejects.toThrow();
    trial.clock.pass(LEASE_MS);
    await expect(trial.repository.undeletePoint(trialId(1), BY)).rejects.toThrow(/no such point|being deleted/);
    await trial.collectAll();
    expect(await namesIn(trial.store, "points/")).toHaveLength(2);
  });
});

/** The store, whose first deletion of a name that begins so waits until something else is done. */
function asleepBefore(store: ObjectStore, prefix: string, meanwhile: () => Promise<void>): ObjectStore {
  let slept = false;
  return {
    ...store,
    async delete(name, signal) {
      if (!slept && name.startsWith(prefix)) {
        slept = true;
        await meanwhile();
      }
      await store.delete(name, signal);
    },
  };
}

describe("a collector that falls asleep", () => {
  it("with a deletion in its hands takes nothing that came to be needed meanwhile", async () => {
    await using trial = await eventful();
    let other: unknown;
    const meanwhile = async () => {
      trial.clock.pass(LEASE_MS);
      await trial.repository.collectGarbage(settings).then(
        () => undefined,
        (error: unknown) => {
          other = error;
        },
      );
      // The same content again, by a writer who sees what is condemned by now.
      await trial.repository.writeBackup(head("b6"), tarOf([...files(1), ...files(2)]));
      await trial.repository.sealPoint(pointOf(6, ["b6"]));
    };
    const sleepy = await trial.open(asleepBefore(trial.store, "packs/", meanwhile));
    await expect(sleepy.collectGarbage(settings)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(other).toBeUndefined();
    expect(await trial.restores(6, [...files(1), ...files(2)])).toBe(true);
    await trial.collectAll();
    expect(await trial.restores(6, [...files(1), ...files(2)])).toBe(true);
    expect((await trial.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("before it appends a generation that others have passed meanwhile deletes nothing by it", async () => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    trial.clock.pass(2 * DAY);
    await trial.repository.deletePoint(trialId(1), BY);
    trial.clock.pass(DAY);
    let slept = false;
    const sleepy = await trial.open({
      ...trial.store,
      async put(name, body, options) {
        if (!slept && name.startsWith("condemned/")) {
          slept = true;
          trial.clock.pass(LEASE_MS);
          await trial.repository.collectGarbage(settings);
        }
        await trial.store.put(name, body, options);
      },
    });
    await sleepy.collectGarbage(settings).catch(() => undefined);
    const [first = "", second = ""] = await namesIn(trial.store, "condemned/");
    expect([first.slice(0, 18), second.slice(0, 18)]).toEqual(["condemned/00000001", "condemned/00000001"]);
    trial.clock.pass(DAY);
    const packs = await namesIn(trial.store, "packs/");
    await trial.repository.collectGarbage(settings);
    expect(await namesIn(trial.store, "packs/")).toEqual(packs);
    await trial.collectAll();
    expect(await namesIn(trial.store, "packs/")).toEqual([]);
    expect(await namesIn(trial.store, "condemned/")).toHaveLength(1);
  });
});

const refused = new StillpointError("OBJECT_RETAINED", { what: "Cannot delete an object", why: "it is locked" });

describe("a deletion", () => {
  it.each([
    ["that is refused", () => Promise.reject(refused), "it is locked"],
    ["that is answered and does nothing", () => Promise.resolve(), expect.stringContaining("shows it still")],
  ])("%s is told as retained, never as done, and is tried again by the next run", async (_, keeps, why) => {
    await using trial = await garbageTrial();
    await trial.point(1, files(1));
    trial.clock.pass(2 * DAY);
    await trial.repository.deletePoint(trialId(1), BY);
    trial.clock.pass(DAY);
    await trial.repository.collectGarbage(settings);
    trial.clock.pass(DAY);
    let isLocked = true;
    const locked = await trial.open({
      ...trial.store,
      async delete(name, signal) {
        if (isLocked && name.startsWith("packs/")) return await keeps();
        await trial.store.delete(name, signal);
      },
    });
    const packs = await namesIn(trial.store, "packs/");
    const report = await locked.collectGarbage(settings);
    expect(report.retained).toEqual(packs.map((object) => ({ object, why })));
    expect(report.freed.bytes).toBeLessThan(10_000);
    const before = await namesIn(trial.store);
    expect((await locked.collectGarbage(settings)).retained).toHaveLength(packs.length);
    expect(await namesIn(trial.store)).toEqual(before);
    // A writer stores the same content anew all the while.
    await trial.point(2, files(1));
    isLocked = false;
    expect((await locked.collectGarbage(settings)).retained).toEqual([]);
    expect((await namesIn(trial.store, "packs/")).filter((name) => packs.includes(name))).toEqual([]);
    expect(await trial.restores(2, files(1))).toBe(true);
  });
});

describe("a claim", () => {
  it("whose answer was lost, or whose release failed once, keeps nobody out", async () => {
    await using trial = await garbageTrial();
    for (const method of ["put", "delete"] as const) {
      let failed = false;
      const fail = async (work: () => Promise<void>, name: string) => {
        await work();
        if (failed || !name.startsWith("leases/collector")) return;
        failed = true;
        throw new StillpointError("STORE_UNREACHABLE", { what: "Lost the answer" });
      };
      const store: ObjectStore = { ...trial.store };
      if (method === "put") store.put = (name, ...rest) => fail(() => trial.store.put(name, ...rest), name);
      else store.delete = (name, ...rest) => fail(() => trial.store.delete(name, ...rest), name);
      const other = await trial.open(store);
      await other.collectGarbage(settings).catch(() => undefined);
      expect(failed).toBe(true);
      await trial.repository.collectGarbage(settings);
    }
  });

  it("of a collector keeps a new key epoch waiting, and the other way round", async () => {
    await using trial = await garbageTrial();
    const context = { store: trial.store, ring: (await openKeyRing(trial.store, PASSPHRASE)).ring, leaseMs: LEASE_MS };
    const random = randomFrom("claims");
    {
      await using _claim = await claimExclusive({ ...context, random }, "a test");
      await expect(trial.repository.collectGarbage(settings)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
      const keys = await openKeys(trial.store, passphraseOpener(PASSPHRASE), { random, now: () => NOW, by: "a test" });
      const plan = await planEpoch(keys, { openers: [], without: [] });
      await expect(beginEpoch(keys, plan)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
    }
    await trial.repository.collectGarbage(settings);
  });
});
