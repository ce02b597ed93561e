import { chmod, cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareRestore } from "@stillpoint/testkit/restore-py";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pathsIn } from "../src/expected.ts";
import { EXPECTED, type GoldenCopy, goldenCopy } from "./golden-copy.ts";

const resources = new AsyncDisposableStack();
let golden: GoldenCopy;
let restore: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
beforeAll(async () => {
  golden = resources.use(await goldenCopy());
  restore = await prepareRestore();
}, 300_000);
afterAll(() => resources.disposeAsync());

const crafted = EXPECTED.points.find(({ sources }) => "crafted" in sources)?.pointId ?? "";
let count = 0;
const fresh = () => join(golden.path, `to-${count++}`);

/** Runs a restore of the crafted point from a repository that `harm` was done to. Nothing may be left. */
async function refused(harm: (inRepository: (name: string) => string) => Promise<void>, keyFile = golden.keyFile) {
  const repository = fresh();
  await cp(golden.repository, repository, { recursive: true });
  await harm((name) => join(repository, name));
  const to = fresh();
  const ran = await restore("restore", repository, crafted, "--to", to, "--key-file", keyFile);
  await rm(repository, { recursive: true });
  expect(ran.code).toBe(1);
  expect(ran.stderr).not.toContain("Traceback");
  expect(await readdir(golden.path)).not.toContain(to.slice(golden.path.length + 1));
  return ran.stderr;
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at < 0 ? bytes.length + at : at] = (bytes.at(at) ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

const namesIn = async (inRepository: (name: string) => string, folder: string) =>
  (await readdir(inRepository(folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe("restore.py refuses, says why, and leaves nothing", () => {
  test("with a wrong passphrase", async () => {
    const key = await golden.writeKey("wrong", "not the passphrase");
    expect(await refused(async () => undefined, key)).toContain("this passphrase opens none of the key slots");
  });

  test("with a key file that others can read", async () => {
    const key = await golden.writeKey("open", "whatever");
    await chmod(key, 0o644);
    expect(await refused(async () => undefined, key)).toContain("chmod 600");
  });

  test("where there is no repository", async () => {
    expect(await refused((at) => rm(at("config")))).toContain("there is no repository");
  });

  test.each([
    ["config", "config is damaged"],
    ["epochs/00000001", "epochs/00000001 is damaged"],
  ])("a repository whose %s says something else", async (name, why) => {
    const harm = async (at: (name: string) => string) => {
      const text = await readFile(at(name), "utf8");
      await writeFile(at(name), text.replace(/"createdAt":"2026/, '"createdAt":"2025'));
    };
    expect(await refused(harm)).toContain(why);
  });

  test("an epoch that is missing", async () => {
    expect(await refused((at) => rm(at("epochs/00000001")))).toContain("epochs/ is damaged");
  });

  test.each([
    ["points", `points/${crafted}`],
    ["backups", "it is not the manifest that the point was made of"],
    ["packs", "its bytes are not those that were sealed"],
  ])("%s with a flipped byte each", async (folder, why) => {
    const harm = async (at: (name: string) => string) => {
      for (const name of await namesIn(at, folder)) await flip(name, 60);
    };
    expect(await refused(harm)).toContain(why);
  });

  test("packs that are missing", async () => {
    expect(await refused((at) => rm(at("packs"), { recursive: true }))).toMatch(/packs\/.* is damaged: it is missing/);
  });

  test("packs that are cut short", async () => {
    const harm = async (at: (name: string) => string) => {
      for (const name of await namesIn(at, "packs")) await truncate(name, 5_000);
    };
    expect(await refused(harm)).toMatch(/packs\/[^ ]* is damaged/);
  });

  test("a newer version, before it asks for anything", async () => {
    const harm = async (at: (name: string) => string) => {
      const text = await readFile(at("config"), "utf8");
      await writeFile(at("config"), text.replace('"version":1', '"version":2'));
    };
    const key = await golden.writeKey("wrong", "not the passphrase");
    expect(await refused(harm, key)).toContain("config is of format version 2");
  });

  test("an object of a newer version", async () => {
    const harm = async (at: (name: string) => string) => {
      for (const name of await namesIn(at, "backups")) {
        const bytes = await readFile(name);
        bytes[4] = 2;
        await writeFile(name, bytes);
      }
    };
    expect(await refused(harm)).toMatch(/is not the manifest that the point was made of|format version 2/);
  });

  test("a destination that is not empty", async () => {
    const to = fresh();
    await mkdir(to);
    await writeFile(join(to, "mine"), "mine");
    const ran = await restore("restore", golden.repository, crafted, "--to", to, "--key-file", golden.keyFile);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining("is not an empty directory") });
    expect(await readdir(to)).toEqual(["mine"]);
  });

  test("a point that is not there", async () => {
    const to = fresh();
    const ran = await restore("restore", golden.repository, "none", "--to", to, "--key-file", golden.keyFile);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no point and no backup none") });
  });
});

describe("restore.py", () => {
  test("restores one path as the whole has it", async () => {
    const to = fresh();
    const wanted = EXPECTED.points.find(({ pointId }) => pointId === crafted)?.sources.crafted?.paths ?? {};
    const key = ["--key-file", golden.keyFile];
    const ran = await restore("restore", golden.repository, crafted, "--to", to, "--path", "small/3", ...key);
    expect(ran).toMatchObject({ code: 0 });
    const below = Object.entries(wanted).filter(([path]) => path.startsWith("small/3"));
    const restored = await pathsIn(join(to, "crafted"));
    expect(below.length).toBeGreaterThan(10);
    expect(restored).toEqual({ small: { type: "directory", mode: 0o755 }, ...Object.fromEntries(below) });
  });

  test.each([
    ["without any index", (index: string) => rm(index, { recursive: true })],
    [
      "with damaged indexes",
      async (index: string) => {
        for (const name of await readdir(index)) await flip(join(index, name), 60);
      },
    ],
  ])("restores %s, by the packs' own lists", async (_, harm) => {
    const [repository, to] = [fresh(), fresh()];
    await cp(golden.repository, repository, { recursive: true });
    await harm(join(repository, "index"));
    const ran = await restore("restore", repository, crafted, "--to", to, "--key-file", golden.keyFile);
    expect(ran).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("reading the lists of the packs themselves"),
    });
    const wanted = EXPECTED.points.find(({ pointId }) => pointId === crafted)?.sources.crafted?.paths ?? {};
    expect(Object.keys(await pathsIn(join(to, "crafted")))).toEqual(Object.keys(wanted));
  });

  test("lists points and backups, and shows what is in one", async () => {
    const key = ["--key-file", golden.keyFile];
    const points = await restore("list", golden.repository, ...key);
    expect(points.code).toBe(0);
    for (const { pointId } of EXPECTED.points) expect(points.stdout).toContain(pointId);
    expect(points.stdout.split("\n").filter((line) => line.includes("PARTIAL"))).toHaveLength(1);
    const backups = await restore("list", golden.repository, "--backups", ...key);
    const stored = await readdir(join(golden.repository, "backups"));
    expect(
      backups.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(stored.sort());
    const shown = await restore("show", golden.repository, crafted, "--files", ...key);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining("base/archive.tar") });
  });
});
