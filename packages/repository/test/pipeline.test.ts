import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Compression } from "../src/format/codec.ts";
import { DEFAULT_CHUNKING } from "../src/format/documents.ts";
import { readIndex } from "../src/index/index-objects.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { readPackList } from "../src/read/pack-list.ts";
import { openRepository } from "../src/repository.ts";
import type { BackupItem } from "../src/write/write-backup.ts";
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
  SMALL,
  tarOf,
  trial,
  unpack,
} from "./trial.ts";

const MB = 1_000_000;
const MIB = 2 ** 20;

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "stillpoint-pipeline-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));
async function made(name: string): Promise<string> {
  await mkdir(join(root, name));
  return join(root, name);
}

/** What is asked of packs: how often, how many bytes of which, and how many at once. Each answer takes a moment. */
function watched({ untilSecond = false } = {}) {
  const store = memoryStore(() => NOW);
  /** Resolves when two packs are being stored; `untilSecond`: none is stored before. */
  const second = Promise.withResolvers<void>();
  const seen = { gets: 0, bytes: 0, packs: new Set<string>(), getsAtOnce: 0, putsAtOnce: 0 };
  let gets = 0;
  let puts = 0;
  return {
    seen,
    forget: () => Object.assign(seen, { gets: 0, bytes: 0, packs: new Set(), getsAtOnce: 0, putsAtOnce: 0 }),
    store: {
      ...store,
      async get(name, range, signal) {
        if (!name.startsWith("packs/")) return store.get(name, range, signal);
        seen.getsAtOnce = Math.max(seen.getsAtOnce, ++gets);
        await delay(2);
        const bytes = await store.get(name, range, signal).finally(() => gets--);
        seen.gets++;
        seen.bytes += bytes.length;
        seen.packs.add(name);
        return bytes;
      },
      async put(name, body, options) {
        if (!name.startsWith("packs/")) return store.put(name, body, options);
        seen.putsAtOnce = Math.max(seen.putsAtOnce, ++puts);
        if (puts > 1) second.resolve();
        if (untilSecond) await second.promise;
        await store.put(name, body, options).finally(() => puts--);
      },
    } satisfies ObjectStore as ObjectStore,
  };
}

describe("a restore", () => {
  it("into a directory reads at most twice what it writes, whatever changes came before", async () => {
    const { store, seen, forget } = watched();
    await using setup = await trial(SMALL, store);
    const body = noise(1, 6 * MB);
    for (let generation = 0; generation < 20; generation++) {
      for (let change = 0; change < 40; change++)
        noise(generation * 100 + change, 8_192).copy(body, ((generation * 7_919 + change * 104_729) % 732) * 8_192);
      const items = [file("table", Buffer.from(body), "page:8192"), file("text", noise(generation, 300_000))];
      await setup.repository.writeBackup(head(`g${generation}`), tarOf(items));
      forget();
      const { bytes } = await setup.repository.restoreFiles(`g${generation}`, await made(`twice-${generation}`));
      expect(bytes).toBe(6_300_000);
      expect(seen.bytes).toBeLessThan(2 * bytes);
    }
  });

  it("joins neighbouring ranges into one request, and has several under way", async () => {
    const { store, seen, forget } = watched();
    await using setup = await trial({ ...SMALL, packTarget: 16 * MIB }, store);
    const items = Array.from({ length: 40 }, (_, i) => file(`f${i}`, noise(i, MB)));
    await setup.repository.writeBackup(head("one"), tarOf(items));
    const chunks = (await setup.repository.check()).chunks;
    expect(chunks).toBeGreaterThan(1_500);
    forget();
    expect(digests(await unpack(setup.repository.readBackup("one")))).toEqual(digests(items));
    // At 4 MiB and more for each; one for each chunk would be a hundred times as many.
    expect(seen.gets).toBeLessThan(40);
    expect(seen.getsAtOnce).toBeGreaterThan(1);
    forget();
    await setup.repository.restoreFiles("one", await made("joined"));
    expect(seen.gets).toBeLessThan(40);
    expect(seen.getsAtOnce).toBeGreaterThan(1);
  });

  it("of a subtree asks for no pack that holds nothing of it", async () => {
    const { store, seen, forget } = watched();
    await using setup = await trial(SMALL, store);
    const items = Array.from({ length: 24 }, (_, i) => file(`${i < 12 ? "a" : "b"}/f${i}`, noise(i, MB)));
    await setup.repository.writeBackup(head("one"), tarOf(items));
    const all = await namesIn(store, "packs/");
    expect(all.length).toBeGreaterThan(10);
    const readOf = async (path: string | undefined, into: string) => {
      forget();
      await setup.repository.restoreFiles("one", await made(into), { path });
      return [...seen.packs];
    };
    expect((await readOf(undefined, "whole")).sort()).toEqual([...all].sort());
    const [a, b] = [await readOf("a", "a"), await readOf("b", "b")];
    // The tree's own packs, and one where the two halves meet.
    expect(a.filter((pack) => b.includes(pack)).length).toBeLessThan(5);
    expect(Math.max(a.length, b.length)).toBeLessThan(all.length * 0.7);
    expect((await readOf("b/f20", "one-file")).length).toBeLessThan(6);
  });

  it("reads no further ahead than its buffers, however long nobody takes what it gives", async () => {
    const { store, seen, forget } = watched();
    await using setup = await trial(DEFAULT_CHUNKING, store);
    await setup.repository.writeBackup(
      head("one"),
      tarOf(Array.from({ length: 80 }, (_, i) => file(`f${i}`, noise(i, MB)))),
    );
    forget();
    const reading = setup.repository.readBackup("one")[Symbol.asyncIterator]();
    await reading.next();
    let last = -1;
    let still = 0;
    await vi.waitFor(
      () => {
        still = seen.bytes > MB && seen.bytes === last ? still + 1 : 0;
        last = seen.bytes;
        expect(still).toBeGreaterThan(10);
      },
      { timeout: 60_000, interval: 20 },
    );
    expect(seen.bytes).toBeLessThan(40 * MB);
    await reading.return?.();
  });
});

describe("a backup", () => {
  it("stores packs of 16 to 64 MiB, several at once and never many", async () => {
    const { store, seen } = watched({ untilSecond: true });
    await using setup = await trial(DEFAULT_CHUNKING, store);
    const items = Array.from({ length: 7 }, (_, i) => file(`f${i}`, noise(i, 25 * MB)));
    await setup.repository.writeBackup(head("one"), tarOf(items));
    const sizes: number[] = [];
    for await (const { size } of store.list("packs/")) sizes.push(size);
    // The last one is as large as what was left.
    const [, ...whole] = sizes.sort((a, b) => a - b);
    expect(whole.length).toBeGreaterThan(4);
    expect(Math.min(...whole)).toBeGreaterThanOrEqual(16 * MIB * 0.95);
    expect(Math.max(...whole)).toBeLessThanOrEqual(64 * MIB);
    expect(seen.putsAtOnce).toBeGreaterThan(1);
    expect(seen.putsAtOnce).toBeLessThanOrEqual(4);
  });

  it("of files is held back by an object store that takes nothing", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await using setup = await trial({ ...DEFAULT_CHUNKING, packTarget: MIB }, faulty.store);
    const { promise: opened, resolve: openStore } = Promise.withResolvers<void>();
    // The first put is the writer's lease.
    const slow = Array.from({ length: 12 }, () => ({ fault: "slow" as const, until: opened }));
    faulty.add("put", { fault: "none" }, ...slow);
    const path = join(root, "noise");
    await writeFile(path, noise(1, 90 * MB));
    let taken = 0;
    const items = async function* (): AsyncGenerator<BackupItem> {
      for (let i = 0; i < 90; i++, taken++) {
        const one = join(root, `part-${i}`);
        await writeFile(one, noise(i, MB));
        yield { entry: file(`f${i}`, Buffer.alloc(MB)).entry, file: one };
      }
    };
    const writing = setup.repository.writeFiles(head("one"), items());
    let last = -1;
    let still = 0;
    await vi.waitFor(
      () => {
        still = taken > 2 && taken === last ? still + 1 : 0;
        last = taken;
        expect(still).toBeGreaterThan(25);
      },
      { timeout: 60_000, interval: 20 },
    );
    expect(taken).toBeLessThan(60);
    openStore();
    expect((await writing).bytes).toBe(90 * MB);
    faulty.assertAllMet();
  });

  it("lists its packs when there are 64 of them, before it has come to its end", async () => {
    const memory = memoryStore(() => NOW);
    await makeRepository(memory);
    const controller = new AbortController();
    const store: ObjectStore = {
      ...memory,
      async put(name, body, options) {
        await memory.put(name, body, options);
        // Nothing but a checkpoint is listed before the end.
        if (name.startsWith("index/")) controller.abort(new Error("cut"));
      },
    };
    await using repository = await open(store, 1);
    const items = function* () {
      for (let i = 0; i < 600; i++) yield file(`f${i}`, noise(i, MIB));
    };
    await expect(repository.writeBackup(head("one"), tarOf(items()), { signal: controller.signal })).rejects.toThrow(
      "cut",
    );
    const { ring } = await openKeyRing(memory, PASSPHRASE);
    const [index = "", ...others] = await namesIn(memory, "index/");
    expect(others).toEqual([]);
    const { packs } = await readIndex(memory, index, ring.epochs);
    expect(packs.length).toBeGreaterThanOrEqual(64);
    expect(packs.length).toBeLessThan(70);
  });

  it("is as large as its compression says, and of data that does not compress never larger than with none", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store, DEFAULT_CHUNKING);
    const text = Buffer.from(Array.from({ length: 80_000 }, (_, i) => `row ${i} of ${(i * 7919) % 1009}\n`).join(""));
    const stored: Record<string, number[]> = {};
    const levels: Compression[] = ["off", "fast", "default", "max"];
    for (const compression of levels) {
      await using repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 2, compression });
      // Nothing is to be found again: each level has text and noise of its own.
      const own = Buffer.concat([Buffer.from(compression), text]);
      for (let at = 0; at < own.length; at += 3_000) own.write(compression, at);
      const sizes: number[] = [];
      for (const [name, body] of [
        ["text", own],
        ["noise", noise(levels.indexOf(compression) + 1, 3 * MB)],
      ] as const) {
        const items = [file(name, body)];
        const { storedBytes } = await repository.writeBackup(head(`${compression}-${name}`), tarOf(items));
        sizes.push(storedBytes);
        expect(digests(await unpack(repository.readBackup(`${compression}-${name}`)))).toEqual(digests(items));
      }
      stored[compression] = sizes;
    }
    const of = (level: Compression, which: 0 | 1) => stored[level]?.[which] ?? 0;
    expect(of("off", 0)).toBeGreaterThan(text.length);
    expect(of("fast", 0)).toBeLessThan(of("off", 0) / 1.5);
    expect(of("default", 0)).toBeLessThanOrEqual(of("fast", 0));
    expect(of("max", 0)).toBeLessThan(of("default", 0));
    for (const level of levels) expect(of(level, 1)).toBeLessThanOrEqual(of("off", 1) * 1.001);
  });

  it("is cut in other places in another repository: sizes of chunks tell nothing of what is in them", async () => {
    const cuts = async (seed: string) => {
      const store = memoryStore(() => NOW);
      await makeRepository(store, SMALL, seed);
      await using repository = await open(store);
      await repository.writeBackup(head("one"), tarOf([file("f", noise(1, 2 * MB))]));
      const { ring } = await openKeyRing(store, PASSPHRASE);
      const lengths: number[] = [];
      for await (const object of store.list("packs/"))
        lengths.push(...(await readPackList(store, object, ring.epochs)).entries.map(({ length }) => length));
      return lengths.sort((a, b) => a - b);
    };
    const [one, again, other] = [await cuts("one"), await cuts("one"), await cuts("other")];
    expect(again).toEqual(one);
    const shared = other.filter((length) => one.includes(length)).length;
    expect(shared).toBeLessThan(other.length / 4);
  });
});
