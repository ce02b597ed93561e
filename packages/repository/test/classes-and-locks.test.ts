import { StillpointError } from "@stillpoint/contracts/errors";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { StorageClass } from "@stillpoint/object-store/object-classes";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { classMoves, type PackUse } from "../src/replicas/class-moves.ts";
import { withObjectLock } from "../src/replicas/object-lock.ts";
import { openRepository, type Repository } from "../src/repository.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { digests, file, head, makeRepository, NOW, namesIn, noise, PASSPHRASE, tarOf, unpack } from "./trial.ts";

const DAY = 86_400_000;
const RULES = [
  { afterMs: 30 * DAY, storageClass: "infrequent" as const },
  { afterMs: 90 * DAY, storageClass: "archive" as const },
];

function use(days: number | undefined, storageClass: StorageClass = "standard", holdsTree = false): PackUse {
  const neededMs = days === undefined ? undefined : NOW - days * DAY;
  return { name: "packs/aa/x", size: 10, storageClass, neededMs, holdsTree };
}
const moved = (pack: PackUse) =>
  classMoves([pack], RULES, NOW, (each) => each === "archive" || each === "deep-archive")[0]?.to;

describe("the class of a pack", () => {
  it("follows the age of the newest point that needs it", () => {
    expect([0, 29.9, 30, 89.9, 90, 900].map((days) => moved(use(days)))).toEqual([
      undefined,
      undefined,
      "infrequent",
      "infrequent",
      "archive",
      "archive",
    ]);
    expect(moved(use(100, "archive"))).toBeUndefined();
    expect(moved(use(100, "infrequent"))).toBe("archive");
  });
  it("is never cold where it holds a piece of a tree, and none of our business where no point needs it", () => {
    expect(moved(use(900, "standard", true))).toBeUndefined();
    expect(moved(use(900, "archive", true))).toBe("standard");
    expect(moved(use(undefined))).toBeUndefined();
  });
  it("goes back when a recent point needs what was archived, and stays where reading needs no thaw", () => {
    expect(moved(use(1, "archive"))).toBe("standard");
    expect(moved(use(1, "infrequent"))).toBeUndefined();
    expect(moved(use(40, "deep-archive"))).toBe("infrequent");
  });
});

const OLD = [file("old", noise(1, 2_500_000))];

/** Two points of one plan, a hundred days apart. */
async function aged() {
  let now = NOW;
  const store = memoryStore(() => now);
  await makeRepository(store);
  const repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => now });
  await repository.writeBackup(head("old"), tarOf(OLD));
  await repository.sealPoint({ ...pointOf(1, ["old"]), sealedAt: new Date(now).toISOString() });
  now += 100 * DAY;
  await repository.writeBackup(head("new"), tarOf([file("new", noise(2, 1_500_000))]));
  await repository.sealPoint({ ...pointOf(2, ["new"]), sealedAt: new Date(now).toISOString() });
  return { store, repository, advance: (ms: number) => (now += ms), now: () => now };
}

describe("storage classes in use", () => {
  it("put away only what no recent point needs, and a restore of it is planned, thawed, waited for and byte-exact", async () => {
    const { store, repository, advance } = await aged();
    const moves = await repository.replicas.moveClasses(store, RULES);
    expect(moves.moved.length).toBeGreaterThan(0);
    expect(moves.moved.every(({ to }) => to === "archive")).toBe(true);
    expect((await repository.replicas.moveClasses(store, RULES)).moved).toEqual([]);
    // All that is recent reads as ever, and so does everything but the data: trees, index, manifests.
    await unpack(repository.readBackup("new"));
    expect(await Array.fromAsync(repository.tree("old"))).toHaveLength(1);
    await expect(unpack(repository.readBackup("old"))).rejects.toMatchObject({ code: "OBJECT_COLD" });

    const plan = await repository.replicas.planThaw(["old"]);
    expect(plan.cold.map(({ name }) => name)).toEqual(moves.moved.map(({ name }) => name).sort());
    expect(plan.bytes).toBe(moves.moved.reduce((sum, { size }) => sum + size, 0));
    expect(plan.byClass.archive?.bytes).toBe(plan.bytes);
    expect(plan.takesMs).toBe(store.classes?.thawTakesMs("archive"));
    expect((await repository.replicas.planThaw(["new"])).cold).toEqual([]);

    const seen: number[] = [];
    await repository.replicas.thaw(plan, {
      keepDays: 7,
      askEveryMs: 3_600_000,
      sleep: async (ms) => void advance(ms),
      onProgress: ({ readable }) => seen.push(readable),
    });
    expect(seen.at(0)).toBe(0);
    expect(seen.at(-1)).toBe(plan.cold.length);
    expect(digests(await unpack(repository.readBackup("old")))).toEqual(digests(await unpack(tarOf(OLD))));
    await repository[Symbol.asyncDispose]();
  });
});

describe("what is cold on the primary", () => {
  it("is read from a copy that has it warm, and not thawed; only what no copy gives at once is", async () => {
    const { store, repository, now } = await aged();
    const replica = memoryStore(now);
    await repository.replicas.replicate(replica);
    const moved = (await repository.replicas.moveClasses(store, RULES)).moved.map(({ name }) => name).sort();
    const away: ObjectStore = {
      ...replica,
      head: () => Promise.reject(new StillpointError("STORE_UNREACHABLE", { what: "Away" })),
    };
    const openWith = (...copies: ObjectStore[]) =>
      openRepository(store, { passphrase: PASSPHRASE, threads: 0, now, copies });
    const coldOf = async (reader: Repository) => (await reader.replicas.planThaw(["old"])).cold.map(({ name }) => name);
    await using reader = await openWith(away, replica);
    expect(await coldOf(reader)).toEqual([]);
    expect(digests(await unpack(reader.readBackup("old")))).toEqual(digests(await unpack(tarOf(OLD))));
    await using without = await openWith(away);
    expect(await coldOf(without)).toEqual(moved);
    for (const name of moved) await replica.classes?.move(name, "archive");
    expect(await coldOf(reader)).toEqual(moved);
    for (const name of moved) await replica.delete(name);
    expect(await coldOf(reader)).toEqual(moved);
    await repository[Symbol.asyncDispose]();
  });
});

describe("object lock", () => {
  it("locks what is new, but not what must go, and a locked object outlives a delete", async () => {
    const inner = memoryStore(() => NOW);
    const store = withObjectLock(inner, 10 * DAY, () => 5);
    await store.put("packs/aa/x", Uint8Array.of(1));
    await store.put("leases/x-1", Uint8Array.of(1));
    await store.put("condemned/00000001-x", Uint8Array.of(1));
    expect(await inner.locks?.state("packs/aa/x")).toEqual({ retainedUntilMs: NOW + 10 * DAY, legalHold: false });
    await expect(store.delete("packs/aa/x")).rejects.toMatchObject({ code: "OBJECT_RETAINED" });
    await store.delete("leases/x-1");
    await store.delete("condemned/00000001-x");
  });

  it("is extended for what lives on, so that it never runs out, and not for what is condemned", async () => {
    const { store, repository, advance, now } = await aged();
    const lockMs = 10 * DAY;
    const [gone = "", ...alive] = await namesIn(store);
    for (let month = 0; month < 30; month++) {
      const figures = await repository.replicas.extendLocks(store, lockMs, new Set([gone]));
      expect(figures.locked).toBe(alive.length);
      for (const name of alive) {
        const { retainedUntilMs = 0 } = (await store.locks?.state(name)) ?? {};
        expect(retainedUntilMs).toBeGreaterThanOrEqual(now() + lockMs / 2);
      }
      advance(4 * DAY);
    }
    expect((await store.locks?.state(gone))?.retainedUntilMs).toBeUndefined();
    await repository[Symbol.asyncDispose]();
  });

  it("becomes a legal hold for what a held point consists of, and is let go with the hold", async () => {
    const { store, repository } = await aged();
    const hold = await repository.placeHold(trialId(1), { reason: "court", by: "tests" });
    const { points, held } = await repository.replicas.applyLegalHolds(store);
    expect(points).toBe(1);
    expect(held).toBeGreaterThan(3);
    await expect(store.delete(`points/${trialId(1)}`)).rejects.toMatchObject({ code: "OBJECT_RETAINED" });
    await expect(store.delete("backups/old")).rejects.toMatchObject({ code: "OBJECT_RETAINED" });
    expect((await store.locks?.state("backups/new"))?.legalHold).toBe(false);
    await repository.releaseHold(trialId(1), hold.holdId, { by: "tests" });
    expect((await repository.replicas.applyLegalHolds(store)).released).toBe(held);
    expect((await store.locks?.state("backups/old"))?.legalHold).toBe(false);
    await repository[Symbol.asyncDispose]();
  });
});
