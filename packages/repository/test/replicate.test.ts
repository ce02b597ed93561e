import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { CONFIG_NAME } from "../src/format/kinds.ts";
import { lagOf } from "../src/replicas/survey.ts";
import { trialId as id, pointOf, proofOf } from "./point-trial.ts";
import { file, head, makeRepository, namesIn, noise, open, tarOf } from "./trial.ts";

const MINUTE = 60_000;

/** A repository of three backups and two points, a minute between any two writes. */
async function primaryWithPoints() {
  let now = Date.UTC(2026, 0, 2);
  const store = memoryStore(() => now);
  const ticking: ObjectStore = {
    ...store,
    put: async (name, body, options) => {
      now += MINUTE;
      await store.put(name, body, options);
    },
  };
  await makeRepository(ticking);
  const repository = await open(ticking, 0);
  for (const [n, backupId] of ["one", "two", "three"].entries())
    await repository.writeBackup(
      head(backupId),
      tarOf([file("same", noise(1, 400_000)), file("own", noise(n + 2, 900_000))]),
    );
  for (const [n, backups] of [["one"], ["one", "two"]].entries()) {
    const point = await repository.sealPoint(pointOf(n + 1, backups));
    await repository.sealProof(proofOf(n + 1, point));
  }
  return { store: ticking, repository, clock: { now: () => now, advance: (ms: number) => (now += ms) } };
}

async function content(store: ObjectStore): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const name of await namesIn(store)) all[name] = Buffer.from(await store.get(name)).toString("base64");
  return all;
}

async function assertSound(replica: ObjectStore): Promise<{ points: number; backups: number }> {
  if ((await replica.head(CONFIG_NAME)) === undefined) return { points: 0, backups: 0 };
  await using repository = await open(replica, 0);
  const { problems, points, backups } = await repository.check({ readData: true });
  expect(problems).toEqual([]);
  return { points, backups };
}

describe("replication", () => {
  it("makes the replica equal to the primary, byte for byte, and says that nothing is behind", async () => {
    const { store, repository } = await primaryWithPoints();
    const replica = memoryStore(() => 0);
    const before = await repository.replicas.survey(replica);
    expect(lagOf(before).objects).toBe((await namesIn(store)).length);
    const report = await repository.replicas.replicate(replica);
    expect(report.notCopied).toEqual([]);
    expect(report.lag).toEqual({ objects: 0, bytes: 0, seconds: 0 });
    expect(await content(replica)).toEqual(await content(store));
    const again = await repository.replicas.replicate(replica);
    expect(again.copiedObjects).toBe(0);
    await repository[Symbol.asyncDispose]();
  });

  it("cut off after any object leaves a sound repository, and goes on from there", async () => {
    const { store, repository } = await primaryWithPoints();
    const all = (await namesIn(store)).length;
    const pointsAfter: number[] = [];
    for (let most = 1; most < all; most++) {
      const inner = memoryStore(() => 0);
      let puts = 0;
      const replica: ObjectStore = {
        ...inner,
        put: async (...call) => {
          if (++puts > most) throw new Error("killed");
          await inner.put(...call);
        },
      };
      await expect(repository.replicas.replicate(replica, { atOnce: 1 })).rejects.toThrow("killed");
      expect((await namesIn(inner)).length).toBe(most);
      pointsAfter.push((await assertSound(inner)).points);
      const { lag } = await repository.replicas.replicate(inner);
      expect(lag.objects).toBe(0);
    }
    // Oldest first: the first point is there before all else that is younger.
    expect(pointsAfter.indexOf(1)).toBeGreaterThan(0);
    expect(pointsAfter.at(-1)).toBe(2);
    await repository[Symbol.asyncDispose]();
  });

  it("brings the oldest point before a younger backup is begun", async () => {
    const { repository, store } = await primaryWithPoints();
    await repository.writeBackup(head("four"), tarOf([file("own", noise(9, 900_000))]));
    const order: string[] = [];
    const inner = memoryStore(() => 0);
    const replica: ObjectStore = {
      ...inner,
      put: async (name, body, options) => {
        order.push(name);
        await inner.put(name, body, options);
      },
    };
    await repository.replicas.replicate(replica);
    expect(order.indexOf(`points/${id(1)}`)).toBeLessThan(order.indexOf("backups/four"));
    expect(order.indexOf("backups/one")).toBeLessThan(order.indexOf("backups/two"));
    expect(order.length).toBe((await namesIn(store)).length);
    await repository[Symbol.asyncDispose]();
  });

  it("copies nothing that is damaged, nor what needs it, and says so; all else goes on", async () => {
    const { store, repository } = await primaryWithPoints();
    const [pack] = await packsOf(store, repository, "three");
    if (pack === undefined) throw new Error("no pack");
    const bytes = await store.get(pack);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await store.put(pack, bytes);
    const replica = memoryStore(() => 0);
    const report = await repository.replicas.replicate(replica);
    const left = report.notCopied.map(({ object }) => object);
    expect(left).toContain(pack);
    expect(left).toContain("backups/three");
    expect(await replica.head(pack)).toBeUndefined();
    expect(await assertSound(replica)).toEqual({ points: 2, backups: 2 });
    expect(report.lag.objects).toBe(left.length);
    expect(report.lag.seconds).toBeGreaterThan(0);
    await repository[Symbol.asyncDispose]();
  });

  it("takes from another replica what the primary's copy of is damaged", async () => {
    const { store, repository } = await primaryWithPoints();
    const healthy = memoryStore(() => 0);
    await repository.replicas.replicate(healthy);
    const original = await content(store);
    const [pack] = await packsOf(store, repository, "three");
    if (pack === undefined) throw new Error("no pack");
    await store.put(pack, new Uint8Array(100));
    const second = memoryStore(() => 0);
    const report = await repository.replicas.replicate(second, { others: [healthy] });
    expect(report.notCopied).toEqual([]);
    expect(await content(second)).toEqual(original);
    await repository[Symbol.asyncDispose]();
  });

  it("names lag in seconds by the primary's clock, and in bytes", async () => {
    const { repository, clock } = await primaryWithPoints();
    const replica = memoryStore(() => 0);
    await repository.replicas.replicate(replica);
    await repository.writeBackup(head("late"), tarOf([file("late", noise(7, 300_000))]));
    clock.advance(90 * MINUTE);
    const survey = await repository.replicas.survey(replica);
    const lag = lagOf(survey);
    expect(lag.objects).toBe(3);
    expect(lag.bytes).toBeGreaterThan(300_000);
    // The pack came two writes before the manifest, which was the last.
    expect(lag.seconds).toBe(92 * 60);
    await repository[Symbol.asyncDispose]();
  });

  it("heals a pack that the replica lost before it brings anything new", async () => {
    const { store, repository } = await primaryWithPoints();
    const replica = memoryStore(() => 0);
    await repository.replicas.replicate(replica);
    const [pack] = await packsOf(store, repository, "one");
    if (pack === undefined) throw new Error("no pack");
    await replica.delete(pack);
    await repository.writeBackup(
      head("late"),
      tarOf([file("same", noise(1, 400_000)), file("late", noise(7, 30_000))]),
    );
    const faulty = withFaults(replica);
    faulty.add("put", { fault: "none" }, { fault: "error", error: new Error("killed") });
    await expect(repository.replicas.replicate(faulty.store)).rejects.toThrow("killed");
    await assertSound(replica);
    expect(await replica.head(pack)).toBeDefined();
    await repository[Symbol.asyncDispose]();
  });

  it("follows without listing packs, to the same end, and is sound at every object too", async () => {
    const { store, repository } = await primaryWithPoints();
    const replica = memoryStore(() => 0);
    await repository.replicas.replicate(replica, { withoutPacks: true });
    expect(await content(replica)).toEqual(await content(store));
    await repository.writeBackup(head("late"), tarOf([file("late", noise(7, 1_300_000))]));
    await repository.sealPoint(pointOf(3, ["late", "one"]));
    const faulty = withFaults(replica);
    for (let most = 0; ; most++) {
      faulty.add("put", { fault: "none" }, { fault: "error", error: new Error("killed") });
      const ended = await repository.replicas.replicate(faulty.store, { withoutPacks: true, atOnce: 1 }).then(
        ({ lag }) => lag.objects === 0,
        () => false,
      );
      await assertSound(replica);
      faulty.clear();
      if (ended) break;
      expect(most).toBeLessThan(9);
    }
    expect(faulty.calls("list")).toBeGreaterThan(0);
    expect(await content(replica)).toEqual(await content(store));
    await repository[Symbol.asyncDispose]();
  });

  it("leaves one target as it is when another is slow or dead", async () => {
    const { store, repository } = await primaryWithPoints();
    const fast = memoryStore(() => 0);
    const gate = Promise.withResolvers<void>();
    const slow = withFaults(memoryStore(() => 0));
    slow.add("put", { fault: "none" }, { fault: "none" }, { fault: "slow", until: gate.promise });
    const slowly = repository.replicas.replicate(slow.store);
    await repository.replicas.replicate(fast);
    expect(await content(fast)).toEqual(await content(store));
    gate.resolve();
    await slowly;
    expect(await content(slow.store)).toEqual(await content(store));
    slow.assertAllMet();
    await repository[Symbol.asyncDispose]();
  });
});

/** Packs that only this backup put there: those whose removal hurts no other. */
async function packsOf(
  store: ObjectStore,
  repository: Awaited<ReturnType<typeof open>>,
  backupId: string,
): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(store, "packs/")) {
    const bytes = await store.get(name);
    await store.put(name, new Uint8Array(10));
    const { problems } = await repository.check();
    const hurt = problems.flatMap(({ backups }) => backups);
    if (hurt.includes(backupId) && (backupId === "one" || new Set(hurt).size === 1)) found.push(name);
    await store.put(name, bytes);
  }
  return found;
}

describe("another repository", () => {
  it("is never mixed with this one", async () => {
    const { repository } = await primaryWithPoints();
    const other = memoryStore(() => 0);
    await makeRepository(other, undefined, "another seed");
    const before = await content(other);
    await expect(repository.replicas.replicate(other)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await content(other)).toEqual(before);
    await repository[Symbol.asyncDispose]();
  });
});
