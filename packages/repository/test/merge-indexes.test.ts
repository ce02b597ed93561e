import { StillpointError } from "@stillpoint/contracts/errors";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { indexLoader } from "../src/index/index-loader.ts";
import { mergeIndexes } from "../src/index/merge-indexes.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import type { RepositoryContext } from "../src/repository-context.ts";
import { DAY, garbageTrial, SETTINGS } from "./garbage-trial.ts";
import {
  digests,
  file,
  head,
  makeRepository,
  NOW,
  namesIn,
  noise,
  open,
  PASSPHRASE,
  randomFrom,
  tarOf,
  unpack,
} from "./trial.ts";

const BACKUPS = 6;
const itemsOf = (i: number) => [file(`f${i}`, noise(i + 1, 200_000))];

async function filled(store: ObjectStore): Promise<void> {
  await makeRepository(store);
  await using repository = await open(store, 1);
  for (let i = 0; i < BACKUPS; i++) await repository.writeBackup(head(`backup-${i}`), tarOf(itemsOf(i)));
}

/** What merging needs of an open repository. */
async function merger(store: ObjectStore) {
  const { ring } = await openKeyRing(store, PASSPHRASE);
  const index = openChunkIndex(ring.repositoryId);
  const loader = indexLoader(store, index, ring.epochs);
  await loader.load();
  const context = { store, ring, index, loader, random: randomFrom("merge") } as unknown as RepositoryContext; // no more is used
  const merge = (mergedBytes?: number) =>
    mergeIndexes(context, {
      before: () => Promise.resolve(),
      mergeFrom: 2,
      ...(mergedBytes === undefined ? {} : { mergedBytes }),
    });
  return { index, loader, merge, [Symbol.dispose]: () => index[Symbol.dispose]() };
}

async function assertWhole(store: ObjectStore): Promise<void> {
  await using repository = await open(store, 1);
  expect((await repository.check({ readData: true })).problems).toEqual([]);
  for (let i = 0; i < BACKUPS; i++)
    expect(digests(await unpack(repository.readBackup(`backup-${i}`)))).toEqual(digests(itemsOf(i)));
}

describe("merging index objects", () => {
  it("makes few of many, which alone are read afterwards, and changes nothing for who reads", async () => {
    const store = memoryStore(() => NOW);
    await filled(store);
    using other = await merger(store);
    const { chunks, packs } = other.index;
    const before = await namesIn(store, "index/");
    {
      using own = await merger(store);
      expect(await own.merge()).toEqual({ replaced: BACKUPS, written: 1 });
      expect(own.index).toMatchObject({ chunks, packs });
      expect(await own.merge()).toEqual({ replaced: 0, written: 0 });
    }
    const merged = (await namesIn(store, "index/")).filter((name) => !before.includes(name));
    expect(merged).toHaveLength(1);
    await other.loader.load();
    expect(other.index.objects()).toEqual(merged);
    expect(other.index).toMatchObject({ chunks, packs });

    const counted = withFaults(store);
    {
      using cold = await merger(counted.store);
      expect(cold.index.objects()).toEqual(merged);
      expect(cold.index).toMatchObject({ chunks, packs });
    }
    await assertWhole(store);
    for (const name of before) await store.delete(name);
    await assertWhole(store);
    await other.loader.load();
    expect(other.index).toMatchObject({ chunks, packs });
  });

  it("closes an object when it is large enough, and merges what is small again", async () => {
    const store = memoryStore(() => NOW);
    await filled(store);
    using own = await merger(store);
    const { chunks } = own.index;
    const { replaced, written } = await own.merge(2_000);
    expect(replaced).toBe(BACKUPS);
    expect(written).toBeGreaterThan(1);
    await own.merge();
    expect(own.index.objects().length).toBe(1);
    expect(own.index.chunks).toBe(chunks);
    using cold = await merger(store);
    expect(cold.index.objects()).toEqual(own.index.objects());
    expect(cold.index.chunks).toBe(chunks);
    await assertWhole(store);
  });

  it("broken off at any write leaves a sound repository, and comes to its end when it is done again", async () => {
    const inner = memoryStore(() => NOW);
    await filled(inner);
    for (const fault of ["error", "lostAnswer"] as const)
      for (let at = 0; at < 2; at++) {
        const faulty = withFaults(inner);
        using own = await merger(faulty.store);
        const error = new StillpointError("STORE_UNREACHABLE", { what: "Lost the store" });
        faulty.add(
          "put",
          ...Array.from({ length: at }, () => ({ fault: "none" as const })),
          fault === "error" ? { fault, error } : { fault },
        );
        await own.merge(2_000).catch((reason: unknown) => expect(reason).toMatchObject({ code: "STORE_UNREACHABLE" }));
        faulty.clear();
        await assertWhole(inner);
      }
    using own = await merger(inner);
    await own.merge();
    using cold = await merger(inner);
    expect(cold.index.objects().length).toBeLessThan(BACKUPS);
    await assertWhole(inner);
  });

  it("costs nothing where the merged object is damaged while those that it replaces are there", async () => {
    const objects = new Map();
    const store = memoryStore(() => NOW, objects);
    await filled(store);
    const before = await namesIn(store, "index/");
    {
      using own = await merger(store);
      await own.merge();
    }
    const [merged = ""] = (await namesIn(store, "index/")).filter((name) => !before.includes(name));
    const bytes = objects.get(merged)?.bytes ?? new Uint8Array(0);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    await using repository = await open(store, 1);
    for (let i = 0; i < BACKUPS; i++)
      expect(digests(await unpack(repository.readBackup(`backup-${i}`)))).toEqual(digests(itemsOf(i)));
    expect((await repository.check()).problems.map(({ object }) => object)).toEqual([merged]);
  });

  it("is done by the collector, which deletes what was replaced when its grace has passed", async () => {
    await using trial = await garbageTrial();
    for (let i = 1; i <= BACKUPS; i++) await trial.point(i, itemsOf(i));
    await using other = await trial.open();
    const before = await namesIn(trial.store, "index/");
    trial.clock.pass(2 * DAY);
    const settings = { ...SETTINGS, mergeFrom: 4 };
    expect((await trial.repository.collectGarbage({ settings })).merged).toEqual({ replaced: BACKUPS, written: 1 });
    expect(await namesIn(trial.store, "index/")).toEqual(expect.arrayContaining(before));
    for (let run = 0; run < 2; run++) {
      trial.clock.pass(2 * DAY);
      expect((await trial.repository.collectGarbage({ settings })).merged.written).toBe(0);
    }
    expect((await namesIn(trial.store, "index/")).length).toBe(1);
    // Who had read those that are gone goes on from the other.
    await other.writeBackup(head("later"), tarOf(itemsOf(1)));
    for (let i = 1; i <= BACKUPS; i++) expect(await trial.restores(i, itemsOf(i), other)).toBe(true);
    expect((await other.check({ readData: true })).problems).toEqual([]);
  });
});
