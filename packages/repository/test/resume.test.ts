import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { isSurveyDue } from "../src/index/adopt-packs.ts";
import { readIndex } from "../src/index/index-objects.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { NODE_FLAGS } from "../src/node-flags.ts";
import { readPackList } from "../src/read/pack-list.ts";
import { openRepository } from "../src/repository.ts";
import { largeItems } from "./resume-items.ts";
import { digests, head, makeRepository, NOW, namesIn, open, PASSPHRASE, tarOf, unpack } from "./trial.ts";

/** Calls `cut` when so many packs are durable. */
function cutAfter(store: ObjectStore, packs: number, cut: () => void): ObjectStore {
  let stored = 0;
  return {
    ...store,
    async put(name, body, options) {
      if (name.startsWith("packs/") && stored >= packs) throw new DOMException("cut", "AbortError");
      await store.put(name, body, options);
      if (name.startsWith("packs/") && ++stored === packs) cut();
    },
  };
}

/** Chunks that lie in more than one pack: each was sent twice. Says too whether all packs are listed. */
async function twice(store: ObjectStore): Promise<{ twice: number; unlisted: number }> {
  const { ring } = await openKeyRing(store, PASSPHRASE);
  const seen = new Map<string, number>();
  const packs: string[] = [];
  for await (const object of store.list("packs/")) {
    const { packId, entries } = await readPackList(store, object, ring.epochs);
    packs.push(packId);
    for (const { name } of entries) {
      const key = Buffer.from(name).toString("hex");
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
  }
  const listed = new Set<string>();
  for (const name of await namesIn(store, "index/"))
    for (const { packId } of (await readIndex(store, name, ring.epochs)).packs) listed.add(packId);
  return {
    twice: [...seen.values()].filter((count) => count > 1).length,
    unlisted: packs.filter((packId) => !listed.has(packId)).length,
  };
}

describe("an upload that breaks off", () => {
  it.each([1, 65])("after %i packs sends none of their chunks again", async (packs) => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    const controller = new AbortController();
    {
      await using writer = await open(
        cutAfter(store, packs, () => controller.abort()),
        1,
      );
      await expect(
        writer.writeBackup(head("one"), tarOf(largeItems(packs + 3)), { signal: controller.signal }),
      ).rejects.toThrow();
    }
    expect((await namesIn(store, "packs/")).length).toBe(packs);
    await using again = await open(store, 1);
    await again.writeBackup(head("one"), tarOf(largeItems(packs + 3)));
    expect(await twice(store)).toEqual({ twice: 0, unlisted: 0 });
    expect((await again.check()).problems).toEqual([]);
  });

  it("and is tried again by the same process sends nothing again either", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    const controller = new AbortController();
    let cut = cutAfter(store, 8, () => controller.abort());
    const changing: ObjectStore = { ...store, put: (name, body, options) => cut.put(name, body, options) };
    await using writer = await open(changing, 1);
    await expect(
      writer.writeBackup(head("one"), tarOf(largeItems(12)), { signal: controller.signal }),
    ).rejects.toThrow();
    cut = store;
    await writer.writeBackup(head("one"), tarOf(largeItems(12)));
    expect(await twice(store)).toEqual({ twice: 0, unlisted: 0 });
  });
});

describe("a process that is killed", () => {
  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "stillpoint-resume-"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it("in the middle of an upload leaves packs that the next one finds, and an index on disk that holds", async () => {
    const [at, directory] = [join(root, "repository"), join(root, "index")];
    await mkdir(at);
    await using store = await openObjectStore(at, { environment: {} });
    await makeRepository(store);
    const script = fileURLToPath(new URL("./resume-process.ts", import.meta.url));
    for (const packs of [4, 10]) {
      const child = spawn(process.execPath, [...NODE_FLAGS, script, at, directory], { stdio: "inherit" });
      onTestFinished(() => void child.kill("SIGKILL"));
      const ended = once(child, "exit");
      await vi.waitFor(async () => expect((await namesIn(store, "packs/")).length).toBeGreaterThanOrEqual(packs), {
        timeout: 60_000,
        interval: 5,
      });
      child.kill("SIGKILL");
      await ended;
      expect(await namesIn(store, "backups/")).toEqual([]);
    }
    await using again = await openRepository(store, { passphrase: PASSPHRASE, threads: 1, index: { directory } });
    await again.writeBackup(head("one"), tarOf(largeItems(16)));
    expect(await twice(store)).toEqual({ twice: 0, unlisted: 0 });
    expect((await again.check({ readData: true })).problems).toEqual([]);
    expect(digests(await unpack(again.readBackup("one")))).toEqual(digests([...largeItems(16)]));
  });
});

describe("looking through all packs", () => {
  it("is done for each backup while they are few, and else once a day or where it never was", () => {
    const day = 86_400_000;
    expect(isSurveyDue(4_096, NOW, NOW)).toBe(true);
    expect(isSurveyDue(4_097, NOW, NOW)).toBe(false);
    expect(isSurveyDue(4_097, undefined, NOW)).toBe(true);
    expect(isSurveyDue(4_097, NOW - day - 1, NOW)).toBe(true);
    expect(isSurveyDue(4_097, NOW + day + 1, NOW)).toBe(true);
  });
});
