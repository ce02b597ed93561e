import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { expect, it } from "vitest";
import { gearTable } from "../src/chunking/gear.ts";
import { packIdOf } from "../src/format/kinds.ts";
import { condemnedLog } from "../src/garbage/condemned-log.ts";
import { indexLoader } from "../src/index/index-loader.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { deriveKey, LABELS } from "../src/keys/derive.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { beginWriting } from "../src/leases/writing.ts";
import { readPackList } from "../src/read/pack-list.ts";
import type { RepositoryContext } from "../src/repository-context.ts";
import { inlinePool } from "../src/workers/inline-pool.ts";
import { BY, DAY, files, garbageTrial, LEASE_MS, SETTINGS, trialId } from "./garbage-trial.ts";
import { PASSPHRASE, randomFrom, SMALL } from "./trial.ts";

/** What a writer has of an open repository, on a store of its own. */
async function writerOn(store: ObjectStore): Promise<RepositoryContext> {
  const { ring } = await openKeyRing(store, PASSPHRASE);
  const key = ring.epochs.keyOf(1) ?? new Uint8Array(0);
  const index = openChunkIndex(ring.repositoryId);
  const loader = indexLoader(store, index, ring.epochs);
  await loader.load();
  const random = randomFrom("a writer");
  const named = (label: string) => deriveKey(key, new Uint8Array(0), label);
  const names = { data: named(LABELS.dataName), tree: named(LABELS.treeName), pages: named(LABELS.pagesName) };
  const setup = {
    chunking: SMALL,
    gear: gearTable(key),
    nameKeys: new Map([[1, names]]),
    compression: "default",
  } as const;
  return {
    store,
    ring,
    index,
    loader,
    random,
    chunking: SMALL,
    pool: inlinePool(setup),
    condemned: condemnedLog({ store, ring, random, index }),
    leaseMs: LEASE_MS,
    monotonicMs: () => 0,
  } as unknown as RepositoryContext; // no more is used
}

it("a chunk that comes to be leaned on while its condemned pack is copied is copied too", async () => {
  await using trial = await garbageTrial();
  await trial.point(1, files(1));
  trial.clock.pass(2 * DAY);
  await trial.repository.deletePoint(trialId(1), BY);
  trial.clock.pass(DAY);
  let stored: (() => void) | undefined;
  const store: ObjectStore = {
    ...trial.store,
    async put(name, body, options) {
      await trial.store.put(name, body, options);
      if (name.startsWith("packs/")) stored?.();
    },
  };
  const context = await writerOn(store);
  await using writing = await beginWriting(context, {
    signal: new AbortController().signal,
    fail: (error) => expect.unreachable(String(error)),
  });
  const [object] = await Array.fromAsync(trial.store.list("packs/"));
  if (object === undefined) throw new Error("there is no pack");
  const { entries } = await readPackList(trial.store, object, context.ring.epochs);
  const [first, last] = [entries[0]?.name, entries.at(-1)?.name];
  if (first === undefined || last === undefined) throw new Error("the pack is empty");
  const leanOn = (name: Uint8Array) => {
    const location = context.index.locate(name);
    if (location !== undefined) writing.leans(location);
    return location?.packId;
  };
  expect(leanOn(first)).toBe(packIdOf(object.name));
  await trial.repository.collectGarbage({ settings: SETTINGS });
  // The first chunk's copy is durable, and not listed yet.
  stored = () => {
    stored = undefined;
    expect(leanOn(last)).toBe(packIdOf(object.name));
  };
  await writing.renew();
  for (const name of [first, last]) expect(context.index.leanOn(name)).toBeDefined();
  expect(writing.packs()).not.toContain(packIdOf(object.name));
});
