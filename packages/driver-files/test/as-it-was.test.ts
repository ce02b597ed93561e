import { randomBytes } from "node:crypto";
import { appendFile, chmod, chown, link, mkdir, open, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attributeSetter } from "@stillpoint/direct-io/set-attributes";
import { extractTar } from "@stillpoint/driver/extract";
import { readTar } from "@stillpoint/driver/tar-reader";
import { describe, expect, it } from "vitest";
import { checkTree } from "../src/answer.ts";
import { startScanner } from "../src/scanner.ts";
import { type Run, runsOf } from "./runs.ts";

const MB = 1_048_576;
const never = new AbortController().signal;
/** What `setfacl -m u:1:rw` writes: version 2; owner rw, user 1 rw, group r, mask rw, others none. */
const ACL = Buffer.from(
  "0200000001000600ffffffff020006000100000004000400ffffffff10000600ffffffff20000000ffffffff",
  "hex",
);

async function setUp() {
  const runs = await runsOf((home) => [join(home, "data")]);
  const data = join(runs.home, "data");
  await mkdir(join(data, "sub"), { recursive: true });
  return { runs, data, at: (name: string) => join(data, name) };
}

async function xattrsOf(...paths: string[]) {
  await using scanner = startScanner([]);
  return await scanner.xattrsOf(paths, never);
}

type Setting = Awaited<ReturnType<typeof setUp>>;
/** The ways by which a tree comes back: by a repository's own hand, and by the tar that a vault gives. */
const WAYS: Record<string, (setting: Setting, run: Run, keepOwners?: boolean) => Promise<string>> = {
  "from the repository": ({ runs }, run) => runs.restore(run),
  "by the vault's tar": async ({ runs }, { backups }, keepOwners) => {
    const directory = join(runs.home, "by-tar");
    await mkdir(directory);
    for (const id of backups)
      await extractTar(runs.repository.readBackup(id), directory, keepOwners === undefined ? {} : { keepOwners });
    return directory;
  },
};

describe.each(Object.entries(WAYS))("a restored tree, %s", (_, restore) => {
  it("has hard links where there were some, also to what changed after the base", async () => {
    const setting = await setUp();
    await using _runs = setting.runs;
    const { at, runs } = setting;
    for (const name of ["a", "late"]) await writeFile(at(name), randomBytes(name === "a" ? 3_000 : 300_000));
    for (const name of ["sub/a2", "z"]) await link(at("a"), at(name));
    const run = await runs.run(undefined, undefined, () => link(at("late"), at("sub/late2")));
    const directory = await restore(setting, run);
    const inode = async (name: string) => (await stat(join(directory, "data", name))).ino;
    expect(await inode("sub/a2")).toBe(await inode("a"));
    expect(await inode("z")).toBe(await inode("a"));
    expect(await inode("sub/late2")).toBe(await inode("late"));
    expect(await readFile(join(directory, "data/z"))).toEqual(await readFile(at("a")));
    expect((await Array.fromAsync(checkTree(directory, 5))).map(({ verdict }) => verdict)).toEqual([
      "pass",
      "pass",
      "pass",
    ]);
  });

  it("has holes where there were some, which were not even read", async () => {
    const setting = await setUp();
    await using _runs = setting.runs;
    const { at, runs } = setting;
    const size = 16 * MB + 5;
    const file = await open(at("sparse"), "w");
    await file.truncate(size);
    for (const offset of [0, 9 * MB, size - 3]) await file.write(Buffer.from("end"), 0, 3, offset);
    await file.close();
    await writeFile(at("zeros"), Buffer.alloc(MB)); // written in full, and so it comes back
    const run = await runs.run(undefined);
    expect(run.base.readBytes).toBeLessThan(2 * MB);
    expect(run.storedBytes).toBeLessThan(MB);
    const directory = await restore(setting, run);
    const restored = await stat(join(directory, "data/sparse"));
    expect(restored.size).toBe(size);
    expect(restored.blocks * 512).toBeLessThan(MB);
    expect((await stat(join(directory, "data/zeros"))).blocks * 512).toBeGreaterThanOrEqual(MB);
    expect((await readFile(join(directory, "data/sparse"))).equals(await readFile(at("sparse")))).toBe(true);
  });

  it("has the extended attributes and access lists that it had, also of a directory and of a file without a right to write", async () => {
    const setting = await setUp();
    await using _runs = setting.runs;
    const { at, runs } = setting;
    await writeFile(at("noted"), "x");
    await writeFile(at("sub/large"), randomBytes(400_000));
    await symlink("noted", at("link"));
    const value = Buffer.from([0, 255, 10, 61]);
    const setter = attributeSetter();
    for (const name of ["noted", "sub", "sub/large"])
      expect(
        await setter.set({ target: { path: at(name) }, xattrs: { "user.ä=b": value, "user.empty": Buffer.alloc(0) } }),
      ).toEqual([]);
    expect(await setter.set({ target: { path: at("noted") }, xattrs: { "system.posix_acl_access": ACL } })).toEqual([]);
    await setter.end();
    await chmod(at("sub/large"), 0o400);
    const first = await runs.run(undefined);
    const second = await runs.run(first);
    expect(second.base).toMatchObject({ taken: 2, readBytes: 0 });
    const directory = await restore(setting, second);
    const back = ["noted", "sub", "sub/large", "link"].map((name) => join(directory, "data", name));
    const both = { "user.empty": Buffer.alloc(0), "user.ä=b": value };
    expect(await xattrsOf(...back)).toEqual([{ "system.posix_acl_access": ACL, ...both }, both, both, undefined]);
    expect((await stat(join(directory, "data/sub/large"))).mode & 0o777).toBe(0o400);
  });
});

it("a file with several paths in the destination is not written through one of them", async () => {
  const { runs, at } = await setUp();
  await using _ = runs;
  for (const name of ["a", "b"]) await writeFile(at(name), randomBytes(1_000));
  await writeFile(at("c"), randomBytes(500_000));
  const run = await runs.run(undefined);
  const directory = await runs.restore(run);
  const back = (name: string) => join(directory, "data", name);
  for (const name of ["b", "c"]) {
    await rm(back(name));
    await link(back("a"), back(name));
  }
  for (const id of run.backups) await runs.repository.restoreFiles(id, directory, { compare: true });
  for (const name of ["a", "b", "c"]) expect(await readFile(back(name))).toEqual(await readFile(at(name)));
});

it("one link of a file comes back by its path alone, and with its bytes", async () => {
  const { runs, at, data } = await setUp();
  await using _ = runs;
  await writeFile(at("a"), randomBytes(1_000));
  await link(at("a"), at("sub/b"));
  const run = await runs.run(undefined);
  const directory = join(runs.home, "one");
  await mkdir(directory);
  await runs.repository.restoreFiles(run.backups[0], directory, { path: "data/sub/b" });
  expect(await readFile(join(directory, "data/sub/b"))).toEqual(await readFile(join(data, "a")));
  await expect(stat(join(directory, "data/a"))).rejects.toThrow("ENOENT");
});

it("who may not set attributes or owners restores everything else, and is told", async () => {
  const { runs, at } = await setUp();
  await using _ = runs;
  await writeFile(at("a"), "content");
  await chmod(at("a"), 0o4755);
  if (process.getuid?.() === 0) await chown(at("a"), 1, 1);
  const run = await runs.run(undefined);
  const directory = join(runs.home, "plain");
  await mkdir(directory);
  const told: string[] = [];
  const marked = async function* () {
    for await (const { entry, body } of readTar(runs.repository.readBackup(run.backups[0])))
      yield { entry: entry.type === "file" ? { ...entry, xattrs: { "nobody.has": Buffer.from("it") } } : entry, body };
  };
  const { directoryTree } = await import("@stillpoint/driver/directory-tree");
  const tree = directoryTree(directory, { keepOwners: false, refused: (what) => void told.push(what) });
  for await (const { entry, body } of marked())
    if (entry.type === "file" || entry.type === "directory") await tree.add(entry, body);
  await tree.finish();
  await tree.close();
  expect(told).toEqual(["1 extended attributes could not be set here, nobody.has of data/a the first"]);
  const restored = await stat(join(directory, "data/a"));
  // Without its owner a file must not run as its owner.
  expect([restored.mode & 0o7777, restored.uid]).toEqual([0o755, process.getuid?.()]);
  expect(await readFile(join(directory, "data/a"), "utf8")).toBe("content");
});

it("a hole that is filled while the file is read makes it read again", async () => {
  const { runs, at } = await setUp();
  await using _ = runs;
  const file = await open(at("growing"), "w");
  await file.truncate(8 * MB);
  await file.close();
  const run = await runs.run(undefined, Date.now, () => appendFile(at("growing"), "more"));
  const directory = await runs.restore(run);
  expect((await stat(join(directory, "data/growing"))).size).toBe(8 * MB + 4);
  expect((await readFile(join(directory, "data/growing"))).subarray(-4).toString()).toBe("more");
});
