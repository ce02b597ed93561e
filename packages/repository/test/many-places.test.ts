import { describe, expect, it } from "vitest";
import type { ChunkIndex } from "../src/index/chunk-index.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { file, head, namesIn, noise, open, tarOf, trial } from "./trial.ts";

const name = Buffer.alloc(32, 7);
const [first, second] = ["1".repeat(64), "2".repeat(64)];

function twice(): ChunkIndex {
  const index = openChunkIndex("a repository");
  const entries = [{ name, type: 0, offset: 44, length: 10 }] as const;
  for (const packId of [first, second])
    index.add(`index/${packId}`, { supersedes: [], packs: [{ packId, epoch: 1, length: 100, entries }] });
  return index;
}

describe("a chunk that lies in two packs", () => {
  it("is read from the one that is not condemned, and leaned on there alone", () => {
    const index = twice();
    expect(index.locate(name)?.packId).toBe(first);
    index.condemn(new Set([first]));
    expect(index.locate(name)?.packId).toBe(second);
    expect(index.leanOn(name)?.packId).toBe(second);
    index.condemn(new Set([first, second]));
    expect(index.leanOn(name)).toBeUndefined();
    expect(index.locate(name)?.packId).toBe(first);
    index.condemn(new Set());
    expect(index.leanOn(name)?.packId).toBe(first);
  });

  it("is located in the other when a pack is gone, and nowhere when both are", () => {
    const index = twice();
    index.forget([first]);
    expect(index.locate(name)?.packId).toBe(second);
    expect([...index.packIds()]).toEqual([second]);
    index.forget([second]);
    expect(index.locate(name)).toBeUndefined();
  });
});

describe("packs that no index object lists any more", () => {
  it("are forgotten by who had read them, and stored anew", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("a", noise(1, 100_000))]));
    await using other = await open(setup.store);
    for (const object of [...(await namesIn(setup.store, "index/")), ...(await namesIn(setup.store, "packs/"))])
      await setup.store.delete(object);
    await other.writeBackup(head("two"), tarOf([file("a", noise(1, 100_000))]));
    await setup.store.delete("backups/one");
    expect((await other.check({ readData: true })).problems).toEqual([]);
    expect((await namesIn(setup.store, "packs/")).length).toBeGreaterThan(0);
  });
});
