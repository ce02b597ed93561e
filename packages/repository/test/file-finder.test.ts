import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { expect, test } from "vitest";
import { file, head, type Item, NOW, noise, tarOf, trial } from "./trial.ts";

const neighbours = (seed: number): Item[] =>
  Array.from({ length: 20 }, (_, i) => file(`a/${String(i).padStart(2, "0")}`, noise(seed + i, 900)));

test("a file's content is told by its bytes, however its neighbours in a bundle change", async () => {
  await using setup = await trial();
  const { repository } = setup;
  const [small, other, large] = [noise(1, 1_000), noise(2, 1_000), noise(3, 300_000)];
  const store = async (id: string, body: Buffer, seed: number) =>
    await repository.writeBackup(
      head(id),
      tarOf([...neighbours(seed), file("b/small", body), file("c/large", large), ...neighbours(seed + 50)]),
    );
  await store("one", small, 100);
  await store("two", small, 200);
  await store("three", other, 200);
  const find = repository.fileFinder("b/small");
  const contents = await Promise.all(["one", "two", "three"].map(async (id) => (await find(id))?.content));
  expect(contents[0]).toBeDefined();
  expect(contents[1]).toBe(contents[0]);
  expect(contents[2]).not.toBe(contents[0]);
  const findLarge = repository.fileFinder("c/large");
  expect((await findLarge("one"))?.content).toBe((await findLarge("three"))?.content);
  expect((await findLarge("one"))?.entry).toMatchObject({ type: "file", size: large.length });
});

test("the last word on a path counts, and what replaces a directory above it takes it away", async () => {
  await using setup = await trial();
  const { repository } = setup;
  const directory: Item = { entry: { type: "directory", path: "a", mode: 0o755, mtimeMs: 0 }, body: Buffer.alloc(0) };
  const gone: Item = { entry: { type: "deleted", path: "a" }, body: Buffer.alloc(0) };
  await repository.writeBackup(head("twice"), tarOf([file("a/x", noise(1, 100)), file("a/x", noise(2, 200))]));
  await repository.writeBackup(head("gone"), tarOf([directory, file("a/x", noise(1, 100)), gone]));
  await repository.writeBackup(head("kept"), tarOf([file("a/x", noise(1, 100)), directory]));
  const find = repository.fileFinder("a/x");
  expect((await find("twice"))?.entry).toMatchObject({ size: 200 });
  expect((await find("gone"))?.entry.type).toBe("deleted");
  expect((await find("kept"))?.entry).toMatchObject({ size: 100 });
  expect(await repository.fileFinder("a/y")("kept")).toBeUndefined();
  await expect(find("nothing")).rejects.toMatchObject({ code: "BACKUP_UNKNOWN" });
});

test("trees that are the same but for a file are read once", async () => {
  let reads = 0;
  const memory = memoryStore(() => NOW);
  const store: ObjectStore = {
    ...memory,
    async get(name, range, signal) {
      if (name.startsWith("packs/")) reads += 1;
      return await memory.get(name, range, signal);
    },
  };
  await using setup = await trial(undefined, store);
  const many = Array.from({ length: 2_000 }, (_, i) => file(`f/${String(i).padStart(90, "0")}`, Buffer.alloc(0)));
  for (let i = 0; i < 10; i++)
    await setup.repository.writeBackup(head(`b${i}`), tarOf([...many, file("z/last", noise(i, 100))]));
  const find = setup.repository.fileFinder("z/last");
  await find("b0");
  const first = reads;
  reads = 0;
  for (let i = 1; i < 10; i++) await find(`b${i}`);
  expect(first).toBeGreaterThan(2);
  // The chunk of the tree that names it, and the one with its bytes.
  expect(reads).toBe(9 * 2);
});
