import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { digests, file, head, type Item, makeRepository, NOW, noise, open, tarOf, trial, unpack } from "./trial.ts";

const PAGE = 8192;

/** Rewrites every n-th page, and says how many bytes that were. */
function change(body: Buffer, every: number, seed: number): number {
  let changed = 0;
  for (let at = (seed % every) * PAGE; at < body.length; at += every * PAGE) {
    noise(seed * 1000 + at / PAGE, Math.min(PAGE, body.length - at)).copy(body, at);
    changed += Math.min(PAGE, body.length - at);
  }
  return changed;
}

function counting(store: ObjectStore): { store: ObjectStore; packBytes: () => number } {
  let read = 0;
  const get: ObjectStore["get"] = async (name, range, signal) => {
    const bytes = await store.get(name, range, signal);
    if (name.startsWith("packs/")) read += bytes.length;
    return bytes;
  };
  return { store: { ...store, get }, packBytes: () => read };
}

const asItems = (bodies: ReadonlyMap<string, Buffer>): Item[] =>
  [...bodies].map(([path, body]) => file(path, Buffer.from(body), `page:${PAGE}`));

describe("files of pages", () => {
  it("store little more than the pages that changed, and come back byte for byte", async () => {
    await using setup = await trial();
    const body = noise(1, 6_000_000);
    await setup.repository.writeBackup(head("b0"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
    for (const [i, every] of [20, 6].entries()) {
      const changed = change(body, every, i + 2);
      const items = [file("data", Buffer.from(body), `page:${PAGE}`)];
      const figures = await setup.repository.writeBackup(head(`b${i + 1}`), tarOf(items, 30_000));
      expect(figures.storedBytes).toBeGreaterThan(changed);
      expect(figures.storedBytes).toBeLessThan(changed * 1.05);
      expect(digests(await unpack(setup.repository.readBackup(`b${i + 1}`)))).toEqual(digests(items));
    }
    expect((await setup.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("of which most pages changed store these alone, and all of them only where nearly all changed", async () => {
    await using setup = await trial();
    const body = noise(11, 6_000_000);
    await setup.repository.writeBackup(head("b0"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
    const most = change(body, 3, 0) + change(body, 3, 1);
    const store = async (id: string) => {
      const items = [file("data", Buffer.from(body), `page:${PAGE}`)];
      const figures = await setup.repository.writeBackup(head(id), tarOf(items));
      expect(digests(await unpack(setup.repository.readBackup(id)))).toEqual(digests(items));
      return figures.storedBytes;
    };
    expect(await store("b1")).toBeLessThan(most * 1.05);
    for (const part of [0, 1, 2, 3]) change(body, 5, part);
    expect(await store("b2")).toBeGreaterThan(body.length);
  });

  it("through many backups: every one restores, and none reads more than twice what it gives", async () => {
    const counted = counting(memoryStore(() => NOW));
    await using setup = await trial(undefined, counted.store);
    const bodies = new Map([
      ["a", noise(1, 1_500_000)],
      ["b", noise(2, 700_001)],
      ["c", noise(3, 65_536)],
    ]);
    const expected: string[][] = [];
    for (let generation = 0; generation < 24; generation++) {
      const [a = Buffer.alloc(0), b = Buffer.alloc(0)] = [bodies.get("a"), bodies.get("b")];
      change(a, 9, generation);
      if (generation % 3 === 0) change(b, 2, generation);
      if (generation === 8) bodies.set("a", Buffer.concat([a, noise(99, 200_000)]));
      if (generation === 12) bodies.set("a", a.subarray(0, 1_000_000));
      if (generation === 15) bodies.set("d", noise(4, 300_000));
      const items = asItems(bodies);
      await setup.repository.writeBackup(head(`g${generation}`), tarOf(items));
      expected.push(digests(items));
      const before = counted.packBytes();
      const restored = await unpack(setup.repository.readBackup(`g${generation}`));
      const given = restored.reduce((sum, { body }) => sum + body.length, 0);
      expect(digests(restored)).toEqual(expected.at(-1));
      // The tree, and what joining neighbouring reads takes along, come on top of the chunks.
      expect(counted.packBytes() - before).toBeLessThan(given * 2.2);
    }
    for (const [generation, each] of expected.entries())
      expect(digests(await unpack(setup.repository.readBackup(`g${generation}`)))).toEqual(each);
  });

  it("are compared with what the repository holds, whoever wrote it", async () => {
    await using setup = await trial();
    const body = noise(5, 2_000_000);
    await setup.repository.writeBackup(head("one"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
    await using other = await open(setup.store);
    const changed = change(body, 10, 1);
    const figures = await other.writeBackup(head("two"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
    expect(figures.storedBytes).toBeLessThan(changed * 1.1);
  });

  it("whose earlier backup lost a chunk are stored whole where it is missing", async () => {
    const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
    const store = memoryStore(() => NOW, objects);
    const body = noise(6, 600_000);
    {
      await using setup = await trial(undefined, store);
      await setup.repository.writeBackup(head("one"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
    }
    // Its index is gone: nothing of the first backup can be leaned on.
    for (const name of [...objects.keys()]) if (name.startsWith("index/")) objects.delete(name);
    await using repository = await open(store);
    change(body, 10, 1);
    const items = [file("data", Buffer.from(body), `page:${PAGE}`)];
    await repository.writeBackup(head("two"), tarOf(items));
    expect(digests(await unpack(repository.readBackup("two")))).toEqual(digests(items));
  });

  it.each([`page:${PAGE}`, "content"] as const)(
    "are backed up though the backup before is damaged: %s",
    async (hint) => {
      const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
      const store = memoryStore(() => NOW, objects);
      await using setup = await trial(undefined, store);
      await setup.repository.writeBackup(head("one"), tarOf([file("data", noise(8, 600_000), hint)]));
      for (const [name, object] of objects) if (name.startsWith("packs/")) object.bytes = object.bytes.subarray(0, 100);
      const items = [file("data", noise(9, 600_000), hint)];
      await setup.repository.writeBackup(head("two"), tarOf(items));
      expect(digests(await unpack(setup.repository.readBackup("two")))).toEqual(digests(items));
    },
  );

  it("of every length of page, and next to small files and content, keep their order and bytes", async () => {
    await using setup = await trial();
    const make = (seed: number): Item[] => [
      file("small/1", noise(seed, 100)),
      ...[512, 1024, 4096, 16_384, 65_536].map((page, i) => {
        const body = noise(i + 10, 150_000 + i);
        noise(seed + 50, 300).copy(body, 70_000);
        return file(`pages/${page}`, body, `page:${page}`);
      }),
      file("odd", noise(7, 90_000), "page:5000"),
      file("content", noise(8, 200_000)),
      file("small/2", noise(9, 3_000)),
      file("last", noise(11, 70_000), "page:8192"),
    ];
    for (const seed of [1, 2, 3]) {
      await setup.repository.writeBackup(head(`seed-${seed}`), tarOf(make(seed), 10_001));
      const restored = await unpack(setup.repository.readBackup(`seed-${seed}`));
      expect(digests(restored)).toEqual(digests(make(seed)));
    }
  });

  it("straight from files are the same chunks as by a tar", async () => {
    await using setup = await trial();
    const items = [
      file("small", noise(1, 900)),
      file("data", noise(2, 900_000), "page:8192"),
      file("content", noise(3, 400_000)),
      file("empty", Buffer.alloc(0)),
    ];
    const directory = await mkdtemp(join(tmpdir(), "stillpoint-files-"));
    try {
      for (const { entry, body } of items) await writeFile(join(directory, entry.path), body);
      const first = await setup.repository.writeBackup(head("tar"), tarOf(items));
      const second = await setup.repository.writeFiles(
        head("files"),
        (async function* () {
          for (const { entry } of items)
            yield { entry: { ...entry, uid: 0, gid: 0 }, file: join(directory, entry.path) };
        })(),
      );
      expect(second).toMatchObject({ storedBytes: 0, bytes: first.bytes, checksum: first.checksum });
      expect(digests(await unpack(setup.repository.readBackup("files")))).toEqual(digests(items));
      const longer = setup.repository.writeFiles(
        head("changed"),
        (async function* () {
          const [, item] = items;
          if (item?.entry.type === "file")
            yield { entry: { ...item.entry, size: 900_001 }, file: join(directory, "data") };
        })(),
      );
      await expect(longer).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("give the same answer however many threads look", async () => {
    const stored = new Set<string>();
    for (const threads of [0, 1, 3]) {
      const store = memoryStore(() => NOW);
      await makeRepository(store);
      await using repository = await open(store, threads);
      const body = noise(1, 3_000_000);
      await repository.writeBackup(head("one"), tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]));
      change(body, 12, 3);
      const figures = await repository.writeBackup(
        head("two"),
        tarOf([file("data", Buffer.from(body), `page:${PAGE}`)]),
      );
      stored.add(`${figures.checksum} ${createHash("sha256").update(String(figures.bytes)).digest("hex")}`);
    }
    expect(stored.size).toBe(1);
  });
});
