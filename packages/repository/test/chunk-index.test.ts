import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { IndexedPack } from "../src/format/index-format.ts";
import { indexFailure } from "../src/index/chunk-database.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { NODE_FLAGS } from "../src/node-flags.ts";
import { numberedPack } from "./numbered-pack.ts";
import { randomFrom } from "./trial.ts";

const ID = "018f0000-0000-7000-8000-000000000009";
const SCRIPT = fileURLToPath(new URL("./index-process.ts", import.meta.url));
const roots: string[] = [];

async function newDirectory(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "stillpoint-index-"));
  roots.push(root);
  return root;
}
afterEach(async () => {
  for (const root of roots.splice(0)) await rm(root, { recursive: true, force: true });
});

const random = randomFrom("chunk index");

function pack(chunks: number): IndexedPack {
  const entries = Array.from({ length: chunks }, (_, i) => ({
    name: random(32),
    type: 0 as const,
    offset: 44 + i * 100,
    length: 100,
  }));
  return { packId: Buffer.from(random(32)).toString("hex"), epoch: 1, length: 44 + chunks * 100, entries };
}

const nameOf = (id: string) => `index/${id.repeat(64).slice(0, 64)}`;
const list = (...packs: IndexedPack[]) => ({ supersedes: [], packs });

async function published(directory: string): Promise<string[]> {
  return (await readdir(join(directory, ID))).filter((name) => name.endsWith(".chunks"));
}

/** A file with one pack in it, closed. */
async function kept(directory: string, content: IndexedPack): Promise<string> {
  using index = openChunkIndex(ID, { directory });
  index.add(nameOf("a"), list(content));
  await index.settle();
  const [name = ""] = await published(directory);
  return join(directory, ID, name);
}

describe("the chunk index on disk", () => {
  it("is found again as it was left, in a file that only its owner can read", async () => {
    const directory = await newDirectory();
    const [first, second] = [pack(10), pack(3)];
    const path = await kept(directory, first);
    {
      using index = openChunkIndex(ID, { directory });
      index.add(nameOf("b"), list(second));
    }
    using index = openChunkIndex(ID, { directory });
    expect(index.objects().sort()).toEqual([nameOf("a"), nameOf("b")]);
    expect(index.chunks).toBe(13);
    for (const { packId, entries } of [first, second])
      entries.forEach(({ name, offset, length }, position) => {
        expect(index.locate(name)).toEqual({ packId, epoch: 1, position, offset, length, type: 0 });
      });
    expect(index.locate(random(32))).toBeUndefined();
    expect((await stat(join(directory, ID))).mode & 0o777).toBe(0o700);
    expect(await published(directory)).toEqual([path.slice(path.lastIndexOf("/") + 1)]);
  });

  it("is dropped and begun anew where the file is cut, overwritten, empty, another's or of another layout", async () => {
    const spoil: ((path: string) => Promise<unknown> | unknown)[] = [
      (path) => truncate(path, 5_000),
      (path) => writeFile(path, Buffer.alloc(100_000, 7)),
      (path) => writeFile(path, ""),
      (path) => new DatabaseSync(path).exec("update state set value = 'another' where key = 'id'"),
      (path) => new DatabaseSync(path).exec("pragma user_version = 999"),
    ];
    for (const each of spoil) {
      const directory = await newDirectory();
      const content = pack(2_000);
      const path = await kept(directory, content);
      await each(path);
      const tries = () => {
        using index = openChunkIndex(ID, { directory });
        return content.entries.filter(({ name }) => index.locate(name) !== undefined).length;
      };
      let found: number;
      try {
        found = tries();
      } catch (error) {
        // Damage that only shows where it is read: the file goes then.
        expect(error).toMatchObject({ code: "INDEX_SPOILT", retry: "backoff" });
        found = tries();
      }
      expect(found).toBe(0);
      expect(await readdir(join(directory, ID))).toEqual([]);
    }
  });

  it("is refused where others can write: they could make it say that chunks are there", async () => {
    const directory = await newDirectory();
    await kept(directory, pack(1));
    await chmod(join(directory, ID), 0o770);
    expect(() => openChunkIndex(ID, { directory })).toThrow(expect.objectContaining({ code: "FORBIDDEN" }));
  });

  it("is shared by those who open it at once, and each sees what the other added", async () => {
    const directory = await newDirectory();
    await kept(directory, pack(5));
    using one = openChunkIndex(ID, { directory });
    using two = openChunkIndex(ID, { directory });
    const added = pack(5);
    one.add(nameOf("b"), list(added));
    two.add(nameOf("b"), list(added));
    expect(two.chunks).toBe(10);
    for (const { name } of added.entries) expect(two.locate(name)?.packId).toBe(added.packId);
  });

  it("is built twice by two who begin at once, and one file is left by the next", async () => {
    const directory = await newDirectory();
    const content = pack(5);
    using one = openChunkIndex(ID, { directory });
    using two = openChunkIndex(ID, { directory });
    for (const index of [one, two]) {
      index.add(nameOf("a"), list(content));
      await index.settle();
    }
    for (const index of [one, two]) index.add(nameOf("b"), list(pack(1)));
    expect([one.chunks, two.chunks]).toEqual([6, 6]);
    using three = openChunkIndex(ID, { directory });
    expect(three.chunks).toBe(6);
    expect((await published(directory)).length).toBe(1);
  });

  it("has all that was added before the process was killed, and each pack whole or not at all", async () => {
    const directory = await newDirectory();
    let next = 0;
    for (const until of [3, 40, 90]) {
      const child = spawn(process.execPath, [...NODE_FLAGS, SCRIPT, directory, ID, String(next)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      const ended = once(child, "exit");
      for await (const line of createInterface(child.stdout)) {
        next = Number(line) + 1;
        if (next >= until) child.kill("SIGKILL");
      }
      await ended;
      using index = openChunkIndex(ID, { directory });
      for (let number = 0; number < next; number++)
        for (const { name } of numberedPack(number).pack.entries) expect(index.locate(name)).toBeDefined();
      // One more may have come before the kill: then all of it.
      const more = numberedPack(next).pack.entries.filter(({ name }) => index.locate(name) !== undefined);
      expect([0, 200]).toContain(more.length);
      if (more.length > 0) next++;
    }
  });

  it("leaves nothing behind of a process that was killed while it built", async () => {
    const directory = await newDirectory();
    const child = spawn(process.execPath, [...NODE_FLAGS, SCRIPT, directory, ID, "1"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const ended = once(child, "exit");
    const first = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
    expect(first.value).toBe("1");
    {
      // It is alive: what it builds is left alone.
      using other = openChunkIndex(ID, { directory });
      expect(other.chunks).toBe(0);
      expect((await readdir(join(directory, ID))).filter((name) => name.endsWith(".chunks")).length).toBe(2);
    }
    child.kill("SIGKILL");
    await ended;
    expect((await readdir(join(directory, ID))).filter((name) => name.endsWith(".chunks")).length).toBe(1);
    using index = openChunkIndex(ID, { directory });
    expect(index.chunks).toBe(0);
    index.add(nameOf("a"), list(pack(1)));
    await index.settle();
    expect((await readdir(join(directory, ID))).filter((name) => name.includes("building"))).toEqual([]);
  });

  it("leaves nothing behind of a process that was killed amid a commit, whatever its file looks like", async () => {
    const directory = await newDirectory();
    const whole = await kept(directory, pack(200));
    const building = join(directory, ID, "building-0123456789abcdef.chunks");
    for (const bytes of [0, 50, 100, 4096, 5000, 8192, (await stat(whole)).size - 1]) {
      await copyFile(whole, building);
      await truncate(building, bytes);
      using index = openChunkIndex(ID, { directory });
      expect(index.chunks).toBe(200);
      expect(await published(directory), `cut at ${bytes} bytes`).toHaveLength(1);
    }
  });

  it("finds every chunk among very many that were sorted before they were inserted", async () => {
    const directory = await newDirectory();
    using index = openChunkIndex(ID, { directory });
    const all = Array.from({ length: 40 }, (_, number) => numberedPack(number));
    index.prepare(100_000_000);
    for (const { name, pack } of all) index.add(name, list(pack));
    await index.settle();
    expect(index.chunks).toBe(8_000);
    for (const { pack } of all)
      pack.entries.forEach(({ name, offset, length, type }, position) => {
        expect(index.locate(name)).toEqual({ packId: pack.packId, epoch: 1, position, offset, length, type });
      });
    expect(index.locate(random(32))).toBeUndefined();
  });

  it("forgets what only an object that is gone listed, and its chunks leave the file", async () => {
    const directory = await newDirectory();
    using index = openChunkIndex(ID, { directory });
    const [first, second] = [numberedPack(1), numberedPack(2)];
    index.add(first.name, list(first.pack, second.pack));
    index.add(second.name, list(second.pack));
    await index.settle();
    index.unlist(first.name);
    expect(index.chunks).toBe(200);
    expect(index.knows(first.name)).toBe(false);
    for (const { name } of first.pack.entries) expect(index.locate(name)).toBeUndefined();
    for (const { name } of second.pack.entries) expect(index.locate(name)?.packId).toBe(second.pack.packId);
    index.add(first.name, list(first.pack));
    for (const { name } of first.pack.entries) expect(index.locate(name)?.packId).toBe(first.pack.packId);
  });

  it("says what is wrong with its disk in the product's words, and passes on what is no failure of it", () => {
    const failure = (errcode: number) => Object.assign(new Error("as SQLite says"), { errcode });
    const codes = [13, 5, 11, 26, 8].map((code) => indexFailure(failure(code), "/a"));
    expect(codes).toMatchObject(
      ["DISK_FULL", "TIMEOUT", "INDEX_SPOILT", "INDEX_SPOILT", "INTERNAL"].map((code) => ({ code, where: "/a" })),
    );
    const other = new Error("no failure of SQLite");
    expect(indexFailure(other, "/a")).toBe(other);
  });
});
