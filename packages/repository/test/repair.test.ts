import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RepairOptions } from "../src/repair/repair.ts";
import { planRepair, repairPlan } from "../src/repair/repair-plan.ts";
import type { Repository } from "../src/repository.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { digests, file, head, NOW, namesIn, noise, open, tarOf, trial, unpack } from "./trial.ts";

type Objects = Map<string, { bytes: Uint8Array; modifiedMs: number }>;
const sound: Objects = new Map();
const shared = file("shared", noise(1, 1_500_000));
const items = { one: [shared], two: [shared, file("own", noise(2, 1_500_000))] };

beforeAll(async () => {
  await using setup = await trial(
    undefined,
    memoryStore(() => NOW, sound),
  );
  for (const id of ["one", "two"] as const) await setup.repository.writeBackup(head(id), tarOf(items[id]));
  await setup.repository.sealPoint(pointOf(1, ["one"]));
  await setup.repository.sealPoint(pointOf(2, ["two"]));
});
afterAll(() => sound.clear());

function copy(): { objects: Objects; store: ObjectStore } {
  const objects: Objects = new Map(
    [...sound].map(([name, { bytes }]) => [name, { bytes: bytes.slice(), modifiedMs: NOW }]),
  );
  return { objects, store: memoryStore(() => NOW, objects) };
}
const names = (prefix: string) => [...sound.keys()].filter((name) => name.startsWith(prefix)).sort();
function flip(objects: Objects, name: string, at: number): void {
  const bytes = objects.get(name)?.bytes;
  if (bytes === undefined) throw new Error(`no ${name}`);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 0x40;
}
const cut = (objects: Objects, name: string, toBytes: number) =>
  objects.set(name, { bytes: (objects.get(name)?.bytes ?? new Uint8Array(0)).slice(0, toBytes), modifiedMs: NOW });

async function planOf(repository: Repository, store: ObjectStore) {
  const report = await repository.check({ readData: true });
  const plan = planRepair(report, { repositoryId: repository.id, url: store.url, madeAt: new Date(NOW).toISOString() });
  return repairPlan.parse(JSON.parse(JSON.stringify(plan)));
}

/** Checks, plans, repairs, checks again. */
async function mend(store: ObjectStore, options: RepairOptions = {}) {
  await using repository = await open(store, 0);
  const plan = await planOf(repository, store);
  const report = await repository.repair(plan, options);
  const left = (await repository.check({ readData: true })).problems;
  return { plan, ...report, left };
}

async function restores(store: ObjectStore, id: "one" | "two"): Promise<boolean> {
  await using repository = await open(store, 0);
  try {
    return JSON.stringify(digests(await unpack(repository.readBackup(id)))) === JSON.stringify(digests(items[id]));
  } catch (error) {
    if (error instanceof StillpointError) return false;
    throw error;
  }
}

/** No byte that was there is nowhere: it lies where it lay, or in quarantine. */
function assertNothingThrownAway(before: Objects, after: Objects): void {
  const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const kept = new Set([...after.values()].map(({ bytes }) => hashOf(bytes)));
  for (const [name, { bytes }] of before)
    if (!name.startsWith("leases/") && !name.startsWith("index/")) expect(kept.has(hashOf(bytes)), name).toBe(true);
}

const snapshot = (objects: Objects): Objects =>
  new Map([...objects].map(([name, { bytes, modifiedMs }]) => [name, { bytes: bytes.slice(), modifiedMs }]));

describe("with a replica", () => {
  it("every damage of every object is mended, byte by byte as it was", async () => {
    for (const object of sound.keys()) {
      if (["config", "keys/", "epochs/", "leases/"].some((kind) => object.startsWith(kind))) continue;
      for (const damage of ["flipped", "cut", "gone"]) {
        if (damage === "gone" && !object.startsWith("packs/") && !object.startsWith("backups/")) continue;
        const { objects, store } = copy();
        if (damage === "flipped") flip(objects, object, -1);
        else if (damage === "cut") cut(objects, object, 50);
        else objects.delete(object);
        const before = snapshot(objects);
        const { results, left } = await mend(store, { replicas: [copy().store] });
        expect(left, `${object} ${damage}`).toEqual([]);
        expect(results.map(({ object, outcome }) => [object, outcome])).toContainEqual([object, "repaired"]);
        expect(objects.get(object)?.bytes).toEqual(sound.get(object)?.bytes);
        assertNothingThrownAway(before, objects);
      }
    }
  });
});

describe("without a replica", () => {
  it("a pack's whole chunks are stored anew; what only the damaged one held is lost, and named with its points", async () => {
    for (const pack of names("packs/")) {
      const { objects, store } = copy();
      flip(objects, pack, 100);
      const before = snapshot(objects);
      const was = { one: await restores(store, "one"), two: await restores(store, "two") };
      const { plan, results, left } = await mend(store);
      expect(plan.objects.map(({ object }) => object)).toEqual([pack]);
      expect(results).toMatchObject([{ object: pack, outcome: "lost", detail: expect.stringContaining("1 LOST") }]);
      const hurt = plan.objects[0]?.points;
      expect(results[0]?.points).toEqual(hurt);
      expect(objects.has(pack)).toBe(false);
      assertNothingThrownAway(before, objects);
      for (const { object, why } of left)
        expect([object, why]).toEqual([expect.stringMatching(/^backups\//), "1 of its chunks are in no index"]);
      // Nothing that could be restored before cannot be restored now.
      expect({ one: await restores(store, "one"), two: await restores(store, "two") }).toEqual(was);
    }
  });

  it("a new backup of the same data brings back what was lost", async () => {
    const { objects, store } = copy();
    // Those that hold data: a tree comes back only with the very same backup.
    const isLarge = (name: string) => (sound.get(name)?.bytes.length ?? 0) > 10_000;
    for (const pack of names("packs/").filter(isLarge)) flip(objects, pack, 100);
    await mend(store);
    expect(await restores(store, "two")).toBe(false);
    await using writer = await open(store, 0);
    await writer.writeBackup(head("again"), tarOf(items.two));
    expect((await writer.check({ readData: true })).problems).toEqual([]);
    expect(await restores(store, "one")).toBe(true);
    expect(await restores(store, "two")).toBe(true);
  });

  it("a pack whose own list is damaged, and all chunks whole, is replaced without a loss", async () => {
    const { objects, store } = copy();
    const [pack = ""] = names("packs/");
    flip(objects, pack, -20);
    const { results, left } = await mend(store);
    expect(results).toMatchObject([{ object: pack, outcome: "replaced", points: [] }]);
    expect(left).toEqual([]);
    expect(await restores(store, "two")).toBe(true);
  });

  it("a chunk that two packs hold is taken from the other", async () => {
    const objects: Objects = new Map();
    const store = memoryStore(() => NOW, objects);
    await using _setup = await trial(undefined, store);
    await using other = await open(store, 0);
    await using third = await open(store, 0);
    // Two writers at once that know nothing of each other store the same chunk twice.
    await Promise.all([
      other.writeBackup(head("one"), tarOf([shared])),
      third.writeBackup(head("two"), tarOf([shared])),
    ]);
    const packs = await namesIn(store, "packs/");
    if (packs.length < 4) return expect(packs.length).toBeGreaterThan(0); // one was quick enough to see the other's
    const [pack = ""] = packs;
    objects.delete(pack);
    const { results, left } = await mend(store);
    expect(results).toMatchObject([{ object: pack, outcome: "replaced" }]);
    expect(left).toEqual([]);
  });

  it("an index that is damaged, or gone, is made anew from the packs' own lists", async () => {
    for (const damage of ["flipped", "cut", "gone"]) {
      const { objects, store } = copy();
      for (const index of names("index/"))
        if (damage === "flipped") flip(objects, index, -1);
        else if (damage === "cut") cut(objects, index, 30);
        else objects.delete(index);
      const { left, adoptedPacks } = await mend(store);
      expect(left, damage).toEqual([]);
      expect(adoptedPacks).toBe(names("packs/").length);
      expect(await restores(store, "one")).toBe(true);
      expect(await restores(store, "two")).toBe(true);
    }
  });

  it("a manifest is not guessed at: it stays as it is, and its points are named as lost", async () => {
    const { objects, store } = copy();
    flip(objects, "backups/two", 60);
    const before = snapshot(objects);
    const { results, left } = await mend(store);
    expect(results).toMatchObject([{ object: "backups/two", outcome: "lost", points: [trialId(2)] }]);
    expect(left.map(({ object }) => object)).toEqual(["backups/two"]);
    expect([...objects].filter(([name]) => !name.startsWith("leases/"))).toEqual([...before]);
  });
});

describe("a repair", () => {
  it("applied twice does nothing the second time", async () => {
    const { objects, store } = copy();
    const [first = ""] = names("packs/");
    flip(objects, first, 100);
    flip(objects, names("index/")[0] ?? "", -1);
    await using repository = await open(store, 0);
    const plan = await planOf(repository, store);
    await repository.repair(plan);
    const before = (await namesIn(store)).filter((name) => !name.startsWith("leases/"));
    const { results } = await repository.repair(plan);
    expect(results.map(({ outcome }) => outcome)).not.toContain("replaced");
    expect((await namesIn(store)).filter((name) => !name.startsWith("leases/"))).toEqual(before);
  });

  it("leaves alone what is sound, whatever its plan says", async () => {
    const { objects, store } = copy();
    const [pack = ""] = names("packs/");
    flip(objects, pack, 100);
    await using repository = await open(store, 0);
    const plan = await planOf(repository, store);
    objects.set(pack, sound.get(pack) ?? { bytes: new Uint8Array(0), modifiedMs: NOW });
    expect((await repository.repair(plan)).results).toMatchObject([{ object: pack, outcome: "sound" }]);
    expect(objects.get(pack)?.bytes).toEqual(sound.get(pack)?.bytes);
  });

  it("is refused for another store or repository", async () => {
    const { store } = copy();
    await using repository = await open(store, 0);
    const plan = await planOf(repository, store);
    await expect(repository.repair({ ...plan, url: "s3://other" })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(repository.repair({ ...plan, repositoryId: trialId(9) })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("that breaks off at any of its writes throws nothing away, and done again comes out the same", async () => {
    const [pack = ""] = names("packs/");
    for (let at = 0; ; at++) {
      const { objects, store } = copy();
      flip(objects, pack, -20);
      const before = snapshot(objects);
      const faulty = withFaults(store);
      let isOver = false;
      {
        await using repository = await open(faulty.store, 0);
        const plan = await planOf(repository, store);
        faulty.addAt("put", at, { fault: "outOfSpace" });
        const failed = await repository.repair(plan).then(
          () => false,
          () => true,
        );
        isOver = faulty.clear() > 0;
        if (!isOver) expect(failed, `write ${at}`).toBe(true);
      }
      assertNothingThrownAway(before, objects);
      for (const name of objects.keys()) if (name.startsWith("leases/")) objects.delete(name); // its claim has run out
      const { left } = await mend(store);
      expect(left, `write ${at}`).toEqual([]);
      expect(await restores(store, "two")).toBe(true);
      if (isOver) {
        expect(at).toBeGreaterThan(3);
        break;
      }
    }
  });

  it("that is given a part of a damaged pack, once, gives up nothing of it", async () => {
    const [pack = ""] = names("packs/");
    for (let at = 0, isOver = false; !isOver; at++) {
      const { objects, store } = copy();
      flip(objects, pack, -30); // in its own list: every chunk of it is whole
      let [reads, isCounting] = [0, false];
      const short: ObjectStore = {
        ...store,
        async get(name, ...rest) {
          const bytes = await store.get(name, ...rest);
          return isCounting && name === pack && reads++ === at ? bytes.subarray(0, 10) : bytes;
        },
      };
      await using repository = await open(short, 0);
      const plan = await planOf(repository, store);
      isCounting = true;
      await repository.repair(plan).catch((error: unknown) => {
        if (!(error instanceof StillpointError)) throw error;
      });
      isOver = reads <= at;
      if (isOver) expect(at).toBeGreaterThan(2);
      expect((await mend(store)).left, `read ${at}`).toEqual([]);
      for (const id of ["one", "two"] as const) expect(await restores(store, id), `read ${at}`).toBe(true);
    }
  });
});
