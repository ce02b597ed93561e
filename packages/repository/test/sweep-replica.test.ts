import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { condemnedLog } from "../src/garbage/condemned-log.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { addSlot } from "../src/keys/add-slot.ts";
import { openKeys } from "../src/keys/key-context.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { beginEpoch, planEpoch } from "../src/keys/new-epoch.ts";
import { passphraseOpener } from "../src/keys/passphrase.ts";
import { retireSlot } from "../src/keys/retire-slot.ts";
import { rotateTo } from "../src/keys/rotate-slot.ts";
import { openRepository } from "../src/repository.ts";
import { pointOf, proofOf, trialId } from "./point-trial.ts";
import {
  file,
  head,
  makeRepository,
  NOW,
  namesIn,
  noise,
  PASSPHRASE,
  randomFrom,
  SCRYPT_COST,
  tarOf,
} from "./trial.ts";

const HOUR = 3_600_000;
const GRACE = 24 * HOUR;

/** Two points on backups that share nothing, and a replica that has a clock of its own and both. */
async function setup() {
  const clock = { primary: NOW, replica: NOW - 1_000 * HOUR };
  const store = memoryStore(() => clock.primary);
  const replica = memoryStore(() => clock.replica);
  await makeRepository(store);
  const repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
  await repository.writeBackup(head("kept"), tarOf([file("a", noise(1, 400_000))]));
  await repository.sealProof(proofOf(1, await repository.sealPoint(pointOf(1, ["kept"]))));
  const before = new Set(await namesIn(store));
  await repository.writeBackup(head("gone"), tarOf([file("b", noise(2, 1_400_000))]));
  await repository.sealProof(proofOf(2, await repository.sealPoint(pointOf(2, ["gone"]))));
  const garbage = (await namesIn(store)).filter((name) => !before.has(name));
  await repository.deletePoint(trialId(2), { by: "tests" });
  await repository.replicas.replicate(replica);
  return { clock, store, replica, repository, garbage };
}
type Setup = Awaited<ReturnType<typeof setup>>;

/** What the collector does: it condemns, and later deletes what needs before what is needed. */
async function condemn(store: ObjectStore, objects: string[], spared: string[] = []): Promise<string> {
  const { ring } = await openKeyRing(store, PASSPHRASE);
  using index = openChunkIndex(ring.repositoryId);
  const log = condemnedLog({ store, ring, index, random: randomFrom(`${objects.length} ${spared.length}`) });
  return log.append(await log.load(), { objects, spared });
}
async function collect({ store, garbage }: Pick<Setup, "store" | "garbage">): Promise<void> {
  for (const kind of ["proofs", "points", "backups", "index", "packs"])
    for (const name of garbage.filter((each) => each.startsWith(`${kind}/`))) await store.delete(name);
}
async function assertSound(replica: ObjectStore): Promise<void> {
  await using repository = await openRepository(replica, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
  expect((await repository.check({ readData: true })).problems).toEqual([]);
}
const missing = async (replica: ObjectStore, garbage: string[]) => {
  const there = new Set(await namesIn(replica));
  return garbage.filter((name) => !there.has(name));
};

describe("the sweep of a replica", () => {
  it("never goes ahead of the primary, and keeps its own grace by its own clock", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    await condemn(store, garbage);
    const sweep = () => repository.replicas.sweep(replica, { graceMs: GRACE });
    expect((await sweep()).deleted.objects).toBe(0);
    clock.replica += 2 * GRACE;
    clock.primary += 2 * GRACE;
    // The primary has them still.
    expect(await sweep()).toMatchObject({ deleted: { objects: 0 }, waiting: 0, unexplained: [] });
    await collect(all);
    const last = await sweep();
    expect(last.deleted.objects).toBe(garbage.length);
    expect(await missing(replica, garbage)).toEqual(garbage);
    expect((await repository.replicas.survey(replica)).strays).toEqual([]);
    await assertSound(replica);
    await repository[Symbol.asyncDispose]();
  });

  it("waits for its own clock though the primary's grace is long over", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    await condemn(store, garbage);
    await collect(all);
    clock.primary += 100 * GRACE;
    expect(await repository.replicas.sweep(replica, { graceMs: GRACE })).toMatchObject({
      deleted: { objects: 0 },
      waiting: garbage.length,
    });
    clock.replica += GRACE - 1;
    expect((await repository.replicas.sweep(replica, { graceMs: GRACE })).deleted.objects).toBe(0);
    clock.replica += 1;
    expect((await repository.replicas.sweep(replica, { graceMs: GRACE, dryRun: true })).deleted.objects).toBe(
      garbage.length,
    );
    expect(await missing(replica, garbage)).toEqual([]);
    expect((await repository.replicas.sweep(replica, { graceMs: GRACE })).deleted.objects).toBe(garbage.length);
    await repository[Symbol.asyncDispose]();
  });

  it("leaves a sound repository wherever it breaks off", async () => {
    for (let most = 0; ; most++) {
      const all = await setup();
      const { clock, store, replica, repository, garbage } = all;
      await condemn(store, garbage);
      await repository.replicas.sweep(replica, { graceMs: GRACE });
      await collect(all);
      clock.replica += 2 * GRACE;
      let deletes = 0;
      const dying: ObjectStore = {
        ...replica,
        delete: async (...call) => {
          if (deletes++ === most) throw new Error("killed");
          await replica.delete(...call);
        },
      };
      const done = await repository.replicas.sweep(dying, { graceMs: GRACE }).then(
        () => true,
        () => false,
      );
      await assertSound(replica);
      await repository.replicas.sweep(replica, { graceMs: GRACE });
      expect(await missing(replica, garbage)).toEqual(garbage);
      await assertSound(replica);
      await repository[Symbol.asyncDispose]();
      if (done) break;
    }
  });

  it("deletes nothing that was spared, nor what the primary lost without having condemned it", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    await condemn(store, garbage);
    await condemn(store, [], garbage);
    const kept = (await namesIn(store, "packs/")).find((name) => !garbage.includes(name)) ?? "";
    await collect(all);
    await store.delete(kept);
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    clock.replica += 2 * GRACE;
    const report = await repository.replicas.sweep(replica, { graceMs: GRACE });
    expect(report.deleted.objects).toBe(0);
    expect(report.unexplained).toContain(kept);
    expect(await missing(replica, [...garbage, kept])).toEqual([]);
    await repository[Symbol.asyncDispose]();
  });

  it("reports what a lock keeps as retained, and keeps all that this needs", async () => {
    for (const kind of ["proofs/", "points/", "backups/", "index/", "packs/"]) {
      const all = await setup();
      const { clock, store, replica, repository, garbage } = all;
      const locked = garbage.filter((name) => name.startsWith(kind)).slice(0, 1);
      for (const name of locked) await replica.locks?.extend(name, clock.replica + 9 * GRACE);
      await condemn(store, garbage);
      await repository.replicas.sweep(replica, { graceMs: GRACE });
      await collect(all);
      clock.replica += 2 * GRACE;
      const report = await repository.replicas.sweep(replica, { graceMs: GRACE });
      expect(report.retained).toEqual(locked);
      expect(report.deleted.objects + report.waiting).toBe(garbage.length);
      await assertSound(replica);
      clock.replica += 9 * GRACE;
      await repository.replicas.sweep(replica, { graceMs: GRACE });
      expect(await missing(replica, garbage)).toEqual(garbage);
      await repository[Symbol.asyncDispose]();
    }
  });

  it("reports what its credentials may not delete as retained, and nothing as deleted", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    await condemn(store, garbage);
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    await collect(all);
    clock.replica += 2 * GRACE;
    const denied = new StillpointError("STORE_DENIED", { what: "Cannot delete an object", why: "not you" });
    const report = await repository.replicas.sweep(
      { ...replica, delete: () => Promise.reject(denied) },
      { graceMs: GRACE },
    );
    expect(report.deleted).toEqual({ objects: 0, bytes: 0 });
    expect(report.retained.length).toBeGreaterThan(0);
    expect(await missing(replica, garbage)).toEqual([]);
    await assertSound(replica);
    await repository[Symbol.asyncDispose]();
  });

  it("takes the word that a point is deleted only after the point: one that a lock keeps is not there again", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    const words = await namesIn(store, "changes/");
    expect(words).toHaveLength(1);
    await replica.locks?.extend(`points/${trialId(2)}`, clock.replica + 9 * GRACE);
    await condemn(store, [...garbage, ...words]);
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    await collect(all);
    for (const name of words) await store.delete(name);
    clock.replica += 2 * GRACE;
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    expect(await namesIn(replica, "changes/")).toEqual(words);
    await using there = await openRepository(replica, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
    expect((await Array.fromAsync(there.points())).map(({ pointId }) => pointId)).toEqual([trialId(1)]);
    clock.replica += 9 * GRACE;
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    expect(await namesIn(replica, "changes/")).toEqual([]);
    await repository[Symbol.asyncDispose]();
  });

  it("waits while the replica is behind: what takes the place of something may not be there yet", async () => {
    const all = await setup();
    const { clock, store, replica, repository, garbage } = all;
    await condemn(store, garbage);
    await repository.replicas.sweep(replica, { graceMs: GRACE });
    await collect(all);
    clock.replica += 2 * GRACE;
    await repository.writeBackup(head("late"), tarOf([file("late", noise(3, 100_000))]));
    const report = await repository.replicas.sweep(replica, { graceMs: GRACE });
    expect(report.postponed).toBe("the target is behind");
    expect(await missing(replica, garbage)).toEqual([]);
    await repository[Symbol.asyncDispose]();
  });

  it("is what a promoted replica's collector goes on from: numbers are never given out twice", async () => {
    const { store, replica, repository, garbage } = await setup();
    const name = await condemn(store, garbage);
    await repository.replicas.promote(replica, { name: "second", by: "tests" });
    expect(await replica.head(name)).toBeDefined();
    const alone = memoryStore(() => NOW);
    await repository.replicas.replicate(alone);
    await using third = await openRepository(alone, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
    await third.replicas.promoteAlone({ name: "third", by: "tests" });
    const [first = ""] = await namesIn(alone, "condemned/");
    expect(Number(first.slice("condemned/".length).split("-")[0])).toBeGreaterThan(5_000);
    await repository[Symbol.asyncDispose]();
  });

  it("takes a key slot that was retired, at once; an earlier primary does not bring it back", async () => {
    const { store, replica, repository } = await setup();
    const second = passphraseOpener(new Secret("second"), { cost: SCRYPT_COST });
    const first = passphraseOpener(PASSPHRASE, { cost: SCRYPT_COST });
    const work = { random: randomFrom("slots"), now: () => NOW, by: "tests" };
    const context = await openKeys(store, first, work);
    const added = await addSlot(context, second, { type: "opener" });
    await repository.replicas.replicate(replica);
    const earlier = memoryStore(() => NOW);
    await repository.replicas.replicate(earlier);
    await retireSlot(context, added.slot);
    await repository.replicas.replicate(replica);
    await openKeyRing(replica, second);
    const report = await repository.replicas.sweep(replica, { graceMs: GRACE });
    expect(report).toMatchObject({ deleted: { objects: 1 }, unexplained: [] });
    await expect(openKeyRing(replica, second)).rejects.toMatchObject({ code: "KEY_WRONG" });
    await using cutOff = await openRepository(earlier, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
    await cutOff.replicas.takeIn(store);
    await expect(openKeyRing(store, second)).rejects.toMatchObject({ code: "KEY_WRONG" });
    await openKeyRing(store, first);
    await repository[Symbol.asyncDispose]();
  });

  it("leaves a replica that is behind what opens it: the new slot or epoch of a rotation may not be there yet", async () => {
    const opener = passphraseOpener(PASSPHRASE, { cost: SCRYPT_COST });
    const work = { random: randomFrom("behind"), now: () => NOW, by: "tests" };
    for (const change of ["slot", "epoch"]) {
      const { store, replica, repository, garbage } = await setup();
      const context = await openKeys(store, opener, work);
      if (change === "slot") await rotateTo(context, opener);
      else await beginEpoch(context, await planEpoch(context, { openers: [], without: [] }));
      await repository[Symbol.asyncDispose]();
      await using later = await openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
      await condemn(store, garbage);
      const report = await later.replicas.sweep(replica, { graceMs: GRACE });
      expect(report.postponed).toBe("the target is behind");
      await assertSound(replica);
      await later.replicas.replicate(replica);
      expect((await later.replicas.sweep(replica, { graceMs: GRACE })).deleted.objects).toBe(1);
      await assertSound(replica);
    }
  });
});
