import { createHash } from "node:crypto";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckProgress } from "../src/check/report.ts";
import { isInPart } from "../src/check/round.ts";
import { objectName } from "../src/format/kinds.ts";
import { OBJECT_IDS } from "../src/format/object-ids.ts";
import { sealObject } from "../src/format/sealed-object.ts";
import { encodeTail } from "../src/format/tail-format.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { file, head, NOW, namesIn, noise, open, PASSPHRASE, randomFrom, tarOf, trial } from "./trial.ts";

type Objects = Map<string, { bytes: Uint8Array; modifiedMs: number }>;
const sound: Objects = new Map();

/** Backups one and two share a large part; points 1 (on one), 2 (on both), 3 (on two), and a hold. */
beforeAll(async () => {
  await using setup = await trial(
    undefined,
    memoryStore(() => NOW, sound),
  );
  const { repository } = setup;
  const shared = file("shared", noise(1, 1_500_000));
  await repository.writeBackup(head("one"), tarOf([shared]));
  await repository.writeBackup(head("two"), tarOf([shared, file("own", noise(2, 1_500_000))]));
  await repository.sealPoint(pointOf(1, ["one"]));
  await repository.sealPoint(pointOf(2, ["one", "two"]));
  await repository.sealPoint(pointOf(3, ["two"]));
  await repository.placeHold(trialId(1), { reason: "case 7", by: "legal" });
  const { ring } = await openKeyRing(setup.store, PASSPHRASE);
  const at = { source: "orders", stream: "00000001", from: "0-0000", to: "0-1000", fenceToken: 7 };
  const body = noise(3, 3_000);
  const sha256 = createHash("sha256").update(body).digest("hex");
  const tail = encodeTail({ ...at, plan: "shop", sha256, writtenAt: new Date(NOW).toISOString() }, body);
  const id = OBJECT_IDS.tail(at);
  await setup.store.put(
    objectName("tails", id),
    sealObject("tails", id, tail, ring.epochs, (length) => noise(4, length)),
  );
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

async function check(store: ObjectStore, readData: boolean | { parts: number } = true) {
  await using repository = await open(store, 0);
  return await repository.check({ readData });
}

describe("damage is named, with the backups and points that it hurts", () => {
  it("a flipped byte in each object there is, whatever its kind", async () => {
    for (const object of sound.keys()) {
      if (["config", "keys/", "epochs/"].some((kind) => object.startsWith(kind))) continue; // nothing opens without them
      for (const at of [4, 9, 60, -1]) {
        const { objects, store } = copy();
        flip(objects, object, at);
        const { problems } = await check(store);
        expect(
          problems.map((problem) => problem.object),
          `${object} at ${at}`,
        ).toContain(object);
      }
    }
  });

  it("a pack that is flipped, cut short or gone: the points that stand on it, and no others", async () => {
    await using repository = await open(copy().store, 0);
    const holdsOf = async (backupId: string) => {
      const { objects, store } = copy();
      const hurt = new Set<string>();
      for (const pack of names("packs/")) {
        objects.delete(pack);
        const { problems } = await check(store, false);
        const problem = problems.find(({ object }) => object === pack);
        if (problem?.backups.includes(backupId)) hurt.add(pack);
        objects.set(pack, sound.get(pack) ?? { bytes: new Uint8Array(0), modifiedMs: NOW });
      }
      return hurt;
    };
    const [one, two] = [await holdsOf("one"), await holdsOf("two")];
    const own = [...two].find((pack) => !one.has(pack)) ?? "";
    const shared = [...one].find((pack) => two.has(pack)) ?? "";
    for (const damage of ["flipped", "cut", "gone"])
      for (const [pack, backups, points] of [
        [own, ["two"], [trialId(2), trialId(3)]],
        [shared, ["one", "two"], [trialId(1), trialId(2), trialId(3)]],
      ] as const) {
        const { objects, store } = copy();
        const bytes = objects.get(pack)?.bytes ?? new Uint8Array(0);
        if (damage === "flipped") flip(objects, pack, 100);
        else if (damage === "cut") objects.set(pack, { bytes: bytes.slice(0, -1_000), modifiedMs: NOW });
        else objects.delete(pack);
        const { problems } = await check(store);
        expect(problems, damage).toMatchObject([{ object: pack, backups, points }]);
      }
    expect(repository.formatVersion).toBe(1);
  });

  it("a manifest that is gone, and an object that lies under another's name", async () => {
    const gone = copy();
    gone.objects.delete("backups/two");
    expect((await check(gone.store)).problems).toMatchObject([
      { object: `points/${trialId(2)}`, why: "its backup two is missing", points: [trialId(2)] },
      { object: `points/${trialId(3)}`, why: "its backup two is missing", points: [trialId(3)] },
    ]);
    const swapped = copy();
    const [first = "", second = ""] = names("packs/");
    swapped.objects.set(first, sound.get(second) ?? { bytes: new Uint8Array(0), modifiedMs: NOW });
    swapped.objects.set("backups/one", sound.get("backups/two") ?? { bytes: new Uint8Array(0), modifiedMs: NOW });
    const blamed = (await check(swapped.store)).problems.map(({ object }) => object);
    expect(blamed).toEqual(expect.arrayContaining([first, "backups/one"]));
  });

  it("an index that is gone is told by the backups whose chunks nobody finds", async () => {
    const { objects, store } = copy();
    for (const name of names("index/")) objects.delete(name);
    const { problems, unlistedPacks } = await check(store, false);
    expect(unlistedPacks).toBe(names("packs/").length);
    expect(problems.map(({ object }) => object)).toEqual(["backups/one", "backups/two"]);
    expect(problems[0]?.points).toEqual([trialId(1), trialId(2)]);
  });
});

describe("a read that is wrong only once", () => {
  it("is transient, wherever it falls: nothing is blamed", async () => {
    const { store } = copy();
    const counted = withFaults(store);
    await using counting = await open(counted.store, 0);
    const before = counted.calls("get");
    await counting.check({ readData: true });
    const reads = counted.calls("get") - before;
    expect(reads).toBeGreaterThan(10);
    for (let at = 0; at < reads; at++) {
      const faulty = withFaults(store);
      await using repository = await open(faulty.store, 0);
      faulty.addAt("get", at, { fault: "flip", atByte: 70 });
      const { problems, transient } = await repository.check({ readData: true });
      faulty.assertAllMet();
      expect(problems, `read ${at}`).toEqual([]);
      // A key slot's sealed line opens with its own secret alone: nobody can tell that it was flipped.
      expect(transient.length, `read ${at}`).toBeLessThanOrEqual(1);
    }
  });
});

describe("beside writers and a collector", () => {
  /** Lists, then lets something happen, then gives out what was listed. */
  function happening(store: ObjectStore, at: string, what: () => Promise<void>): ObjectStore {
    let done = false;
    return {
      ...store,
      async *list(prefix, options) {
        const listed = await Array.fromAsync(store.list(prefix, options));
        if (prefix === at && !done) {
          done = true;
          await what();
        }
        yield* listed;
      },
    };
  }
  const stages = ["index/", "packs/", "backups/", "points/"];

  it("what is deleted meanwhile, in the collector's order, is no damage", async () => {
    for (const stage of stages) {
      const { objects, store } = copy();
      const collect = async () => {
        for (const n of [1, 2, 3]) await store.delete(`points/${trialId(n)}`);
        for (const prefix of ["backups/", "index/", "packs/"]) for (const name of names(prefix)) objects.delete(name);
      };
      await using repository = await open(happening(store, stage, collect), 0);
      const { problems } = await repository.check({ readData: true });
      expect(problems, stage).toEqual([]);
    }
  });

  it("what is written meanwhile is no damage", async () => {
    for (const stage of stages) {
      const { store } = copy();
      const write = async () => {
        await using other = await open(store, 0);
        await other.writeBackup(head("three"), tarOf([file("new", noise(9, 1_200_000))]));
        await other.sealPoint(pointOf(4, ["three"]));
      };
      await using repository = await open(happening(store, stage, write), 0);
      expect((await repository.check({ readData: true })).problems, stage).toEqual([]);
    }
  });
});

describe("a part of the data", () => {
  async function many(packs: number) {
    const store = memoryStore(() => NOW);
    const setup = await trial(undefined, store);
    for (let n = 0; n < packs; n++)
      await setup.repository.writeBackup(head(`b${n}`), tarOf([file("a", noise(n + 1, 20_000))]));
    return setup;
  }

  it("all packs are read within so many checks, on whatever machines, and none twice before", async () => {
    await using setup = await many(13);
    for (const parts of [1, 3, 5, 13]) {
      const counted = withFaults(setup.store);
      let read = 0;
      for (let run = 0; run < parts; run++) {
        await using machine = await open(counted.store, 0);
        const report = await machine.check({ readData: { parts } });
        expect(report.readPacks).toBeGreaterThanOrEqual(Math.floor(13 / parts));
        read += report.readPacks;
      }
      expect(read).toBeGreaterThanOrEqual(13);
      expect(read, `${parts} parts`).toBeLessThanOrEqual(13 + 4 * parts);
    }
  });

  it("a damaged pack is found within so many checks, and read again each time until it is sound", async () => {
    await using setup = await many(9);
    const [pack = ""] = await namesIn(setup.store, "packs/");
    const bytes = await setup.store.get(pack);
    const bad = Uint8Array.from(bytes);
    bad[100] = (bad[100] ?? 0) ^ 1;
    await setup.store.put(pack, bad);
    const blamed: boolean[] = [];
    for (let run = 0; run < 8; run++)
      blamed.push(
        (await setup.repository.check({ readData: { parts: 4 } })).problems.some(({ object }) => object === pack),
      );
    const first = blamed.indexOf(true);
    expect(first).toBeGreaterThanOrEqual(0);
    expect(first).toBeLessThan(4);
    expect(blamed.slice(first)).not.toContain(false);
    await setup.store.put(pack, bytes);
    expect((await setup.repository.check({ readData: { parts: 4 } })).problems).toEqual([]);
  });

  it("covers every id, for any number of parts and any place to begin", () => {
    const random = randomFrom("parts");
    const id = () => Buffer.from(random(32)).toString("hex");
    for (let n = 0; n < 200; n++) {
      const parts = 1 + (random(1)[0] ?? 0);
      const wanted = id();
      let cursor = id();
      const space = 2n ** 256n;
      let isCovered = false;
      for (let run = 0; run < parts && !isCovered; run++) {
        isCovered = isInPart(wanted, cursor, parts);
        cursor = ((BigInt(`0x${cursor}`) + space / BigInt(parts)) % space).toString(16).padStart(64, "0");
      }
      expect(isCovered || BigInt(`0x${wanted}`) - BigInt(`0x${cursor}`) < 256n).toBe(true);
    }
  });
});

describe("a scrub", () => {
  const clock = () => {
    let now = 0;
    return { monotonicMs: () => now, pass: (ms: number) => (now += ms) };
  };

  it("reads on where the last one ended, keeps to its budget, and says when the round was whole", async () => {
    await using setup = await trial(
      undefined,
      memoryStore(() => NOW),
    );
    for (let n = 0; n < 10; n++)
      await setup.repository.writeBackup(head(`b${n}`), tarOf([file("a", noise(n + 1, 20_000))]));
    const packs = await namesIn(setup.store, "packs/");
    const sizes = await Array.fromAsync(setup.store.list("packs/"), ({ size }) => size);
    const three = sizes.slice(0, 3).reduce((sum, size) => sum + size, 0);
    const read: number[] = [];
    let whole: string | undefined;
    for (let run = 0; whole === undefined && run < 10; run++) {
      await using machine = await open(setup.store, 0);
      const report = await machine.scrub({ budgetBytes: three, monotonicMs: clock().monotonicMs });
      expect(report.problems).toEqual([]);
      read.push(report.readPacks);
      whole = report.round.before?.endedAt;
    }
    expect(Math.max(...read)).toBeLessThanOrEqual(4);
    expect(read.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(packs.length);
    expect(read.length).toBeGreaterThanOrEqual(3);
    expect(read.length).toBeLessThanOrEqual(4);
  });

  it("stops when its time is over, and finds what is damaged with the points that it hurts", async () => {
    const { objects, store } = copy();
    const time = clock();
    const [pack = ""] = names("packs/");
    flip(objects, pack, 100);
    await using repository = await open(store, 0);
    const first = await repository.scrub({
      budgetMs: 1_000,
      monotonicMs: time.monotonicMs,
      onProgress: () => time.pass(1_000),
    });
    expect(first).toMatchObject({
      readPacks: 1,
      problems: [{ object: pack, points: expect.arrayContaining([trialId(2)]) }],
    });
    const all = await repository.scrub({ monotonicMs: time.monotonicMs });
    expect(all.readPacks).toBe(names("packs/").length);
    expect(all.problems.map(({ object }) => object)).toEqual([pack]);
  });
});

it("progress is told, step by step", async () => {
  const { store } = copy();
  await using repository = await open(store, 0);
  const heard: CheckProgress[] = [];
  await repository.check({ readData: true, onProgress: (progress) => heard.push({ ...progress }) });
  expect([...new Set(heard.map(({ step }) => step))]).toEqual(["objects", "packs", "data", "backups", "points"]);
  const data = heard.filter(({ step }) => step === "data");
  expect(data.at(-1)).toMatchObject({ done: names("packs/").length, total: names("packs/").length });
});
