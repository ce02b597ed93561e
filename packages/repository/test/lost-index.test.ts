import { open as openFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { indexId } from "../src/index/open-chunk-index.ts";
import { openRepository } from "../src/repository.ts";
import { digests, file, head, makeRepository, NOW, namesIn, noise, PASSPHRASE, tarOf, unpack } from "./trial.ts";

const items = Array.from({ length: 40 }, (_, i) => file(`f${i}`, noise(i + 1, 200_000)));
const openWith = (store: ObjectStore, directory: string) =>
  openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW, index: { directory } });

async function reads(store: ObjectStore, directory: string): Promise<boolean> {
  await using repository = await openWith(store, directory);
  const restored = await unpack(repository.readBackup("one"));
  return digests(restored).join() === digests(items).join();
}

async function fileIn(directory: string): Promise<string> {
  const [folder = ""] = await readdir(directory);
  const [name = ""] = (await readdir(join(directory, folder))).filter((each) => each.endsWith(".chunks"));
  return join(directory, folder, name);
}

it("a repository whose chunk index is on disk reads no index object twice, and every one again when it is lost", async () => {
  await using directory = await temporaryDirectory("index");
  const counted = withFaults(memoryStore(() => NOW));
  await makeRepository(counted.store);
  {
    await using repository = await openWith(counted.store, directory.path);
    await repository.writeBackup(head("one"), tarOf(items));
  }
  const reading = async () => {
    const before = counted.calls("get");
    await using repository = await openWith(counted.store, directory.path);
    expect(repository.formatVersion).toBe(1);
    return counted.calls("get") - before;
  };
  const warm = await reading();
  expect(await reading()).toBe(warm);
  await rm(directory.path, { recursive: true });
  expect(await reading()).toBe(warm + (await namesIn(counted.store, "index/")).length);
  expect(await reads(counted.store, directory.path)).toBe(true);
});

it("a chunk index that was overwritten in part is dropped, said so where it shows, and made anew at the next try", async () => {
  await using directory = await temporaryDirectory("index");
  const store = memoryStore(() => NOW);
  await makeRepository(store);
  {
    await using repository = await openWith(store, directory.path);
    await repository.writeBackup(head("one"), tarOf(items));
  }
  const spoilt = await fileIn(directory.path);
  const root = () => {
    using database = new DatabaseSync(spoilt);
    return Number(database.prepare("select rootpage from sqlite_master where name = 'chunks'").get()?.rootpage);
  };
  await using file = await openFile(spoilt, "r+");
  await file.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, (root() - 1) * 4_096);
  const first = await reads(store, directory.path).catch((error: unknown) => error);
  expect(first).toMatchObject({ code: "INDEX_SPOILT", retry: "backoff" });
  expect(await reads(store, directory.path)).toBe(true);
  expect(await fileIn(directory.path)).not.toBe(spoilt);
});

it("a repository on another target has another chunk index, although its id is the same", () => {
  const id = "018f0000-0000-7000-8000-000000000009";
  expect(indexId(id, "file:///a")).not.toBe(indexId(id, "file:///b"));
});
