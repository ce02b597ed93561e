import { StillpointError } from "@stillpoint/contracts/errors";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import type { Fallback } from "../src/replicas/other-copies.ts";
import { openRepository } from "../src/repository.ts";
import { pointOf, proofOf, trialId } from "./point-trial.ts";
import { digests, file, head, makeRepository, NOW, namesIn, noise, open, PASSPHRASE, tarOf, unpack } from "./trial.ts";

const ITEMS = [
  file("data", noise(1, 2_500_000)),
  file("pages", noise(2, 300_000), "page:8192"),
  file("small", noise(3, 99)),
];

/** A primary and an equal replica. `away` makes every call to the primary fail. */
async function pair() {
  const primary = memoryStore(() => NOW);
  const replica = memoryStore(() => NOW);
  await makeRepository(primary);
  await using repository = await open(primary, 0);
  await repository.writeBackup(head("one"), tarOf(ITEMS));
  const point = await repository.sealPoint(pointOf(1, ["one"]));
  await repository.sealProof(proofOf(1, point));
  await repository.replicas.replicate(replica);
  let isAway = false;
  const refuse = () => {
    if (isAway) throw new StillpointError("STORE_UNREACHABLE", { what: "The primary is away" });
  };
  const store: ObjectStore = {
    ...primary,
    get: async (...call) => {
      refuse();
      return primary.get(...call);
    },
    async *list(...call) {
      refuse();
      yield* primary.list(...call);
    },
    head: async (...call) => {
      refuse();
      return primary.head(...call);
    },
  };
  return { store, primary, replica, setAway: () => (isAway = true) };
}

async function openPair(store: ObjectStore, replicas: ObjectStore[]) {
  const fallbacks: Fallback[] = [];
  const repository = await openRepository(store, {
    passphrase: PASSPHRASE,
    threads: 0,
    now: () => NOW,
    copies: replicas,
    fellBack: (fallback) => fallbacks.push(fallback),
  });
  return { repository, fallbacks };
}

const DAMAGES = {
  missing: (store: ObjectStore, name: string) => store.delete(name),
  flipped: async (store: ObjectStore, name: string) => {
    const bytes = await store.get(name);
    const at = Math.floor(bytes.length * 0.7);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await store.put(name, bytes);
  },
  "cut short": async (store: ObjectStore, name: string) => store.put(name, (await store.get(name)).subarray(0, 60)),
};

describe("a read that the primary cannot serve", () => {
  for (const [what, damage] of Object.entries(DAMAGES))
    it(`is served by the replica when any object of the backup is ${what}, byte for byte, and is told`, async () => {
      const original = digests(await unpack(tarOf(ITEMS)));
      const neededIn = async (store: ObjectStore) =>
        (await namesIn(store)).filter((name) => /^(packs|index|backups)\//.test(name));
      const { length } = await neededIn((await pair()).primary);
      expect(length).toBeGreaterThan(3);
      for (let n = 0; n < length; n++) {
        const { store, primary, replica } = await pair();
        const object = (await neededIn(primary))[n] ?? "";
        await damage(primary, object);
        const { repository, fallbacks } = await openPair(store, [memoryStore(() => NOW), replica]);
        expect(digests(await unpack(repository.readBackup("one")))).toEqual(original);
        // A lost index object is no failed read: its packs are found by the replica's.
        if (!(what === "missing" && object.startsWith("index/")))
          expect(fallbacks.map((fallback) => fallback.object)).toContain(object);
        await repository[Symbol.asyncDispose]();
      }
    });

  it("is served by the replica when the primary is out of reach: the point, its proofs and its bytes", async () => {
    const { store, replica, setAway } = await pair();
    const { repository, fallbacks } = await openPair(store, [replica]);
    setAway();
    expect((await repository.point(trialId(1)))?.pointId).toBe(trialId(1));
    expect(await repository.proofsOf(trialId(1))).toHaveLength(1);
    expect(digests(await unpack(repository.readBackup("one")))).toEqual(digests(await unpack(tarOf(ITEMS))));
    expect(fallbacks.length).toBeGreaterThan(3);
    await repository[Symbol.asyncDispose]();
  });

  it("fails with the primary's own reason where no copy is sound", async () => {
    const { store, primary, replica } = await pair();
    for (const name of await namesIn(primary, "packs/")) {
      await DAMAGES.flipped(primary, name);
      await DAMAGES.missing(replica, name);
    }
    const { repository } = await openPair(store, [replica]);
    await expect(unpack(repository.readBackup("one"))).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
    await repository[Symbol.asyncDispose]();
  });
});

describe("what a replica still has and the primary has swept", () => {
  it("is neither a point nor something that a new backup leans on", async () => {
    const { store, primary, replica } = await pair();
    for (const folder of ["points/", "proofs/", "backups/", "index/", "packs/"])
      for (const name of await namesIn(primary, folder)) await primary.delete(name);
    const { repository } = await openPair(store, [replica]);
    expect(await repository.point(trialId(1))).toBeUndefined();
    await expect(repository.sealPoint(pointOf(2, ["one"]))).rejects.toMatchObject({ code: "BACKUP_UNKNOWN" });
    // Reading it brings the replica's index in, and still nothing new may lean on that.
    await unpack(repository.readBackup("one"));
    const figures = await repository.writeBackup(head("two"), tarOf(ITEMS));
    expect(figures.storedBytes).toBeGreaterThan(2_800_000);
    await using alone = await open(primary, 0);
    expect((await alone.check({ readData: true })).problems).toEqual([]);
    await repository[Symbol.asyncDispose]();
  });
});
