import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extractTar } from "@stillpoint/driver/extract";
import type { TreeEntry } from "@stillpoint/driver/tree";
import { directoryStore } from "@stillpoint/object-store/directory";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { file, head, type Item, makeRepository, NOW, noise, open, tarOf, trial } from "./trial.ts";

const metadata = { mode: 0o750, uid: 0, gid: 0, mtimeMs: 1_650_000_000_000 };
const entry = (of: TreeEntry): Item => ({ entry: of, body: Buffer.alloc(0) });

const ITEMS: Item[] = [
  entry({ type: "directory", path: "base", ...metadata }),
  file("base/pages", noise(1, 1_000_001), "page:8192"),
  ...Array.from({ length: 300 }, (_, i) => file(`base/small/${i % 7}/${i}`, noise(i, (i * 31) % 3_000))),
  file("content", Buffer.concat([noise(2, 700_000), Buffer.alloc(300_000, "words ")])),
  file("again", noise(3, 400_000)),
  entry({ type: "symlink", path: "link", target: "base/pages", ...metadata }),
  file("twice", noise(4, 50_000)),
  file("twice", noise(5, 60_000)),
  entry({ type: "deleted", path: "again" }),
  {
    entry: { ...(file("twice", noise(6, 1_000)).entry as Extract<TreeEntry, { type: "file" }>), offset: 60_000 },
    body: noise(6, 1_000),
  },
];

/** Everything in a directory: type, mode, time, and bytes or target. */
async function picture(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(each.parentPath, each.name);
    const { mode, mtimeMs } = await lstat(path);
    const content = each.isFile()
      ? (await readFile(path)).toString("hex")
      : each.isSymbolicLink()
        ? await readlink(path)
        : "";
    // Directories that no entry names have the time at which they were made.
    const isNamed = !each.isDirectory() || each.name === "base";
    found[path.slice(directory.length)] = `${mode} ${isNamed ? mtimeMs : ""} ${content}`;
  }
  return found;
}

describe("a restore into a directory", () => {
  let base = "";
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "stillpoint-restore-"));
  });
  afterEach(async () => {
    await rm(base, { recursive: true });
  });
  const made = async (name: string) => {
    const directory = join(base, name);
    await mkdir(directory, { recursive: true });
    return directory;
  };
  const storeOf = async (kind: string): Promise<ObjectStore> =>
    kind === "memory" ? memoryStore(() => NOW) : directoryStore(await made("repository"));

  for (const [kind, threads] of [
    ["memory", 0],
    ["memory", 2],
    ["directory", 2],
  ] as const)
    it(`gives what the tar gives: ${kind}, ${threads} threads`, async () => {
      await using store = await storeOf(kind);
      await makeRepository(store);
      await using repository = await open(store, threads);
      await repository.writeBackup(head("one"), tarOf(ITEMS));
      const [byTar, byFiles] = [await made("tar"), await made("files")];
      const expected = await extractTar(repository.readBackup("one"), byTar);
      const figures = await repository.restoreFiles("one", byFiles);
      expect(await picture(byFiles)).toEqual(await picture(byTar));
      expect(figures).toMatchObject(expected);
    });

  it("of a file, or of a subtree, reads only what it needs", async () => {
    let read = 0;
    const memory = memoryStore(() => NOW);
    const counted: ObjectStore = {
      ...memory,
      get: async (name, range, signal) => {
        const bytes = await memory.get(name, range, signal);
        read += bytes.length;
        return bytes;
      },
    };
    await using setup = await trial(undefined, counted);
    await setup.repository.writeBackup(head("one"), tarOf(ITEMS));
    const directory = await made("part");
    read = 0;
    const figures = await setup.repository.restoreFiles("one", directory, { path: "base/small/3" });
    expect(figures.files).toBe(43);
    expect(read).toBeLessThan(700_000);
    expect(await readdir(directory)).toEqual(["base"]);
    expect(await readFile(join(directory, "base/small/3/10"))).toEqual(noise(10, 310));
    await expect(setup.repository.restoreFiles("one", directory, { path: "base/none" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  it("over a part of the data writes only what differs", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf(ITEMS.slice(0, -4)));
    const directory = await made("target");
    const whole = await setup.repository.restoreFiles("one", directory);
    expect(whole.writtenBytes).toBe(whole.bytes);
    const expected = await picture(directory);
    expect(await setup.repository.restoreFiles("one", directory, { compare: true })).toMatchObject({ writtenBytes: 0 });

    const pages = await readFile(join(directory, "base/pages"));
    pages[500_000] = (pages[500_000] ?? 0) ^ 1;
    await writeFile(join(directory, "base/pages"), pages);
    await truncate(join(directory, "content"), 900_000);
    await writeFile(join(directory, "base/small/3/10"), "something else, and longer than it was".repeat(30));
    await rm(join(directory, "base/small/3/17"));
    await rm(join(directory, "again"));
    await symlink("/etc/hostname", join(directory, "again"));
    const figures = await setup.repository.restoreFiles("one", directory, { compare: true });
    expect(await picture(directory)).toEqual(expected);
    expect(figures.writtenBytes).toBeGreaterThan(500_000);
    expect(figures.writtenBytes).toBeLessThan(650_000);

    await mkdir(join(directory, "base/small/3/stray"));
    await writeFile(join(directory, "base/small/3/stray/file"), "not of the backup");
    await setup.repository.restoreFiles("one", directory, { compare: true, exact: true });
    expect(await picture(directory)).toEqual(expected);
  });

  it("never follows a link out of its directory", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(
      head("one"),
      tarOf([file("dir/file", noise(1, 300)), file("dir/large", noise(2, 300_000))]),
    );
    const [directory, outside] = [await made("target"), await made("outside")];
    await symlink(outside, join(directory, "dir"));
    await expect(setup.repository.restoreFiles("one", directory)).rejects.toMatchObject({ code: "PATH_UNSAFE" });
    expect(await readdir(outside)).toEqual([]);
  });

  it("writes nothing of a chunk that is damaged, names its pack, and closes what it opened", async () => {
    const repositoryDirectory = await made("repository");
    await using store = directoryStore(repositoryDirectory);
    await makeRepository(store);
    await using repository = await open(store);
    await repository.writeBackup(head("one"), tarOf([file("pages", noise(1, 3_000_000), "page:8192")]));
    const packs = (await readdir(join(repositoryDirectory, "packs"), { recursive: true })).filter(
      (name) => name.length > 60,
    );
    const sizes = await Promise.all(
      packs.map(async (name) => ({ name, size: (await stat(join(repositoryDirectory, "packs", name))).size })),
    );
    const pack = sizes.sort((a, b) => b.size - a.size)[0]?.name ?? "";
    const path = join(repositoryDirectory, "packs", pack);
    const bytes = await readFile(path);
    bytes[200_000] = (bytes[200_000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const open0 = (await readdir("/proc/self/fd")).length;
    const directory = await made("target");
    await expect(repository.restoreFiles("one", directory)).rejects.toMatchObject({
      code: "OBJECT_DAMAGED",
      where: `packs/${pack}`,
    });
    expect((await readdir("/proc/self/fd")).length).toBeLessThanOrEqual(open0);
    const written = await readFile(join(directory, "pages"));
    const whole = noise(1, 3_000_000);
    for (let at = 0; at < written.length; at += 65_536) {
      const block = written.subarray(at, at + 65_536);
      const isWhole = block.equals(whole.subarray(at, at + 65_536));
      expect(isWhole || block.every((byte) => byte === 0)).toBe(true);
    }
    expect((await stat(directory)).isDirectory()).toBe(true);
  });
});
