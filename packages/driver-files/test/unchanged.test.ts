import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkTree } from "../src/answer.ts";
import { laterClock, runsOf } from "./runs.ts";

const KB = 1_000;

async function tree(count = 60) {
  const runs = await runsOf((home) => [join(home, "data")]);
  const data = join(runs.home, "data");
  await mkdir(join(data, "sub"), { recursive: true });
  for (let at = 0; at < count; at += 1) await writeFile(join(data, at % 2 ? "sub" : "", `f${at}`), randomBytes(KB));
  await symlink("f0", join(data, "link"));
  return { runs, data };
}

const isWhole = async (directory: string) =>
  (await Array.fromAsync(checkTree(directory, undefined))).every(({ verdict }) => verdict === "pass");

it("reads nothing of a tree that has not changed, and stores next to nothing", async () => {
  const { runs } = await tree();
  await using _ = runs;
  const first = await runs.run(undefined);
  expect(first.base).toEqual({ files: 60, taken: 0, readBytes: 60 * KB });
  const second = await runs.run(first);
  expect(second.base).toEqual({ files: 60, taken: 60, readBytes: 0 });
  expect(second.storedBytes).toBeLessThan(3_000);
  const third = await runs.run(second);
  expect(third.base).toEqual({ files: 60, taken: 60, readBytes: 0 });
  expect(await isWhole(await runs.restore(third))).toBe(true);
});

it("finds every kind of change, also one whose size and time were set back, and reads only that", async () => {
  const { runs, data } = await tree();
  await using _ = runs;
  const first = await runs.run(undefined);
  const at = (name: string) => join(data, name);
  const { atimeMs, mtimeMs } = await stat(at("f0"));
  const secret = randomBytes(KB);
  await writeFile(at("f0"), secret);
  await utimes(at("f0"), atimeMs / 1000, mtimeMs / 1000);
  // Another file in its place, of the same size and time.
  await writeFile(at("f2.new"), randomBytes(KB));
  const old = await stat(at("f2"));
  await utimes(at("f2.new"), old.atimeMs / 1000, old.mtimeMs / 1000);
  await rename(at("f2.new"), at("f2"));
  await rm(at("f4"));
  await writeFile(at("new"), randomBytes(KB));
  await rename(at("f6"), at("moved"));
  await rename(at("sub"), at("sub2"));
  const second = await runs.run(first);
  // Renaming changes a file's own time of change; below a renamed directory paths are others.
  expect(second.base).toEqual({ files: 60, taken: 26, readBytes: 34 * KB });
  const restored = await runs.restore(second);
  expect(await readFile(join(restored, "data/f0"))).toEqual(secret);
  for (const name of ["f2", "new", "moved", "sub2/f1"])
    expect(await readFile(join(restored, "data", name))).toEqual(await readFile(at(name)));
  for (const name of ["f4", "f6", "sub"]) await expect(stat(join(restored, "data", name))).rejects.toThrow("ENOENT");
  expect(await isWhole(restored)).toBe(true);
});

it("does not rely on a file that changed just before it was read: a change after that might bear the same time", async () => {
  const { runs, data } = await tree(10);
  await using _ = runs;
  // No file is older than the first of them.
  const { ctimeMs } = await stat(join(data, "f0"));
  const first = await runs.run(undefined, () => ctimeMs + 2_900);
  // Nor where the file system's clock is ahead of ours.
  const second = await runs.run(first, () => ctimeMs - 3_600_000);
  expect(second.base).toMatchObject({ taken: 0 });
  const third = await runs.run(second);
  expect(third.base).toMatchObject({ taken: 0 });
  expect((await runs.run(third)).base).toMatchObject({ taken: 10 });
  expect(await readFile(join(await runs.restore(third), "data/f2"))).toEqual(await readFile(join(data, "f2")));
});

it("reads once more what changed while the base was made, and takes it over from then on", async () => {
  const { runs, data } = await tree(10);
  await using _ = runs;
  const changed = randomBytes(2 * KB);
  const first = await runs.run(undefined, laterClock, () => writeFile(join(data, "f4"), changed));
  const second = await runs.run(first);
  expect(second.base).toEqual({ files: 10, taken: 9, readBytes: 2 * KB });
  const third = await runs.run(second);
  expect(third.base).toMatchObject({ taken: 10, readBytes: 0 });
  expect(await readFile(join(await runs.restore(third), "data/f4"))).toEqual(changed);
});

it("takes links over as links, and a further link to an old file as one", async () => {
  const { runs, data } = await tree(4);
  await using _ = runs;
  await link(join(data, "f0"), join(data, "sub/also"));
  const first = await runs.run(undefined);
  const second = await runs.run(first);
  expect(second.base).toMatchObject({ taken: 5, readBytes: 0 });
  await link(join(data, "f0"), join(data, "third"));
  const third = await runs.run(second);
  expect(third.base).toMatchObject({ taken: 3 });
  for (const run of [first, second, third]) expect(await isWhole(await runs.restore(run))).toBe(true);
});

it("reads everything where the point before has no list, or one of states that it did not note", async () => {
  const { runs } = await tree(6);
  await using _ = runs;
  const first = await runs.run(undefined);
  const second = await runs.run({ ...first, backups: [first.backups[0], first.backups[0]] });
  expect(second.base).toMatchObject({ taken: 0, readBytes: 6 * KB });
  expect(await isWhole(await runs.restore(second))).toBe(true);
});
