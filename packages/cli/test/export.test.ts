import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { filesSource, sqliteSource } from "@stillpoint/contracts/source";
import { filesDriver } from "@stillpoint/driver-files/files-driver";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it } from "vitest";
import {
  checkedSums,
  type ExportBench,
  errorOf,
  filesBelow,
  POINT_ID,
  run,
  type SourceUnderTest,
  startExport,
} from "./export-fixture.ts";

const LARGE = randomBytes(20_000_000);
const STEM = "2026/01/02";

async function database(bench: ExportBench, name: string, rows: number): Promise<SourceUnderTest> {
  const path = join(bench.directory, `${name}.db`);
  using open = new DatabaseSync(path);
  open.exec("pragma journal_mode=wal; create table item (id integer primary key)");
  for (let at = 0; at < rows; at++) open.exec("insert into item default values");
  // The driver's type is of its own kind of source; what is done with both goes together.
  return {
    name,
    driver: sqliteDriver,
    spec: sqliteSource.parse({ kind: "sqlite", path }),
  } as unknown as SourceUnderTest;
}

async function tree(bench: ExportBench, large = LARGE.subarray(0, 1_000_000)): Promise<SourceUnderTest> {
  const root = join(bench.directory, "uploads");
  await mkdir(join(root, "deep"), { recursive: true });
  await writeFile(join(root, "large"), large);
  await writeFile(join(root, "deep", "ä b"), "small", { mode: 0o640 });
  await writeFile(join(root, "empty"), "");
  await symlink("../large", join(root, "deep", "link"));
  return {
    name: "uploads",
    driver: filesDriver,
    spec: filesSource.parse({ kind: "files", paths: [root] }),
  } as unknown as SourceUnderTest; // as above
}

const sumOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("stillpoint point export", () => {
  it("writes files that sha256sum, sqlite3 and tar accept, and a manifest of them", async () => {
    await using bench = await startExport();
    await bench.seal([await database(bench, "sessions", 7), await tree(bench)]);
    const to = join(bench.directory, "out");
    const planned = await bench.export([POINT_ID, "--to", to, "--dry-run"]);
    expect(planned).toContain("nothing was written");
    await expect(stat(to)).rejects.toThrow("ENOENT");

    const said = JSON.parse(await bench.export(["--plan", "shop", "--to", to, "--json"]));
    expect(said.sources).toMatchObject([
      { source: "sessions", written: 1 },
      { source: "uploads", written: 1 },
    ]);
    const expected = [
      `files/${STEM}/files_20260102_030405.tar`,
      `point/${STEM}/point_20260102_030405.json`,
      `sqlite/${STEM}/sqlite_20260102_030405.db`,
    ];
    expect(await filesBelow(to)).toEqual(expected.flatMap((name) => [name, `${name}.sha256`]));
    expect(await checkedSums(to)).toEqual([
      "files_20260102_030405.tar: OK",
      "point_20260102_030405.json: OK",
      "sqlite_20260102_030405.db: OK",
    ]);
    expect((await stat(join(to, expected[0] ?? ""))).mode & 0o777).toBe(0o600);

    const { stdout } = await run("sqlite3", [
      join(to, expected[2] ?? ""),
      "select count(*) from item; pragma integrity_check",
    ]);
    expect(stdout).toBe("7\nok\n");
    const unpacked = join(bench.directory, "unpacked");
    await mkdir(unpacked);
    const { stderr } = await run("tar", ["-xpf", join(to, expected[0] ?? ""), "-C", unpacked]);
    expect(stderr).toBe("");
    await run("diff", ["-r", "--no-dereference", join(bench.directory, "uploads"), join(unpacked, "uploads")]);
    const [was, is] = await Promise.all(
      [bench.directory, unpacked].map((root) => stat(join(root, "uploads/deep/ä b"))),
    );
    expect([is?.mode, is?.mtimeMs]).toEqual([was?.mode, Math.trunc(was?.mtimeMs ?? 0)]);

    const manifest = JSON.parse(await readFile(join(to, expected[1] ?? ""), "utf8"));
    expect(manifest).toMatchObject({ pointId: POINT_ID, plan: "shop", whole: true, cut: { consistency: "aligned" } });
    const sum = sumOf(await readFile(join(to, expected[0] ?? "")));
    expect(manifest.sources[1].files).toMatchObject([{ path: expected[0], sha256: sum }]);
  });

  it("gives SQLite databases as SQL too, also later, and leaves out of it the tables that are named", async () => {
    await using bench = await startExport();
    const sessions = await database(bench, "sessions", 7);
    await bench.seal([sessions]);
    const to = join(bench.directory, "out");
    await bench.export([POINT_ID, "--to", to]);
    await bench.export([POINT_ID, "--to", to, "--sql"]);
    const sql = `sqlite/${STEM}/sqlite_20260102_030405.sql`;
    expect(await filesBelow(to)).toEqual(expect.arrayContaining([sql, `${sql}.sha256`]));
    const { stdout } = await run("sqlite3", [":memory:", `.read ${join(to, sql)}`, "select count(*) from item"]);
    expect(stdout).toBe("7\n");
    const other = join(bench.directory, "other");
    await bench.export([POINT_ID, "--to", other, "--sql", "--without-table", "item"]);
    expect(await readFile(join(other, sql), "utf8")).not.toContain("item");
    const manifest = JSON.parse(await readFile(join(other, `point/${STEM}/point_20260102_030405.json`), "utf8"));
    expect(manifest.sources[0].files).toMatchObject([
      {},
      { path: sql, format: expect.stringContaining("without item") },
    ]);
  });

  it("that is cut off leaves nothing that looks whole, and goes on with what is there", async () => {
    await using bench = await startExport();
    await bench.seal([await database(bench, "sessions", 7), await tree(bench)]);
    const to = join(bench.directory, "out");
    const cut = new AbortController();
    bench.onLine((line) => {
      if (line.includes("writing files/")) cut.abort(new Error("cut off"));
    });
    await expect(bench.export([POINT_ID, "--to", to], cut.signal)).rejects.toThrow();
    const sqlite = `sqlite/${STEM}/sqlite_20260102_030405.db`;
    const after = await filesBelow(to);
    expect(after).toEqual([`point/${STEM}/point_20260102_030405.json`, sqlite, `${sqlite}.sha256`]);
    const before = await stat(join(to, sqlite));
    const manifest = JSON.parse(await readFile(join(to, after[0] ?? ""), "utf8"));
    expect(manifest.whole).toBe(false);

    // As a process that was killed leaves it; and one that was killed before it wrote the sum.
    await writeFile(join(to, `files/${STEM}/.files_20260102_030405.tar.x.part`), "half");
    await rm(join(to, `${sqlite}.sha256`));
    const said = JSON.parse(await bench.export([POINT_ID, "--to", to, "--json"]));
    expect(said.sources).toMatchObject([
      { source: "sessions", written: 0, kept: 1 },
      { source: "uploads", written: 1 },
    ]);
    expect(await checkedSums(to)).toHaveLength(3);
    expect((await filesBelow(to)).filter((name) => name.endsWith(".part"))).toEqual([]);
    const now = await stat(join(to, sqlite));
    expect([now.ino, now.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
  });

  it("that is killed leaves nothing that looks whole, and the next one takes away what it left", async () => {
    await using bench = await startExport();
    await bench.seal([await database(bench, "sessions", 7), await tree(bench, LARGE)]);
    const to = join(bench.directory, "out");
    const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
    const child = spawn(process.execPath, [main, "point", "export", POINT_ID, "--to", to, ...bench.where], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(child, "exit");
    for await (const line of createInterface({ input: child.stderr }))
      if (line.includes("writing files/")) child.kill("SIGKILL");
    expect((await ended)[1]).toBe("SIGKILL");
    const manifest = JSON.parse(await readFile(join(to, `point/${STEM}/point_20260102_030405.json`), "utf8"));
    const announced: Record<string, string> = Object.fromEntries(
      manifest.sources.flatMap((source: { files: { path: string; sha256: string }[] }) =>
        source.files.map(({ path, sha256 }) => [path, sha256]),
      ),
    );
    const shown = (await filesBelow(to)).filter((name) => !name.split("/").at(-1)?.startsWith("."));
    for (const name of shown.filter((each) => !/\.(json|sha256)$/.test(each)))
      expect(sumOf(await readFile(join(to, name)))).toBe(announced[name]);
    expect(await readdir(bench.work)).toHaveLength(1);

    await bench.export([POINT_ID, "--to", to]);
    expect(await checkedSums(to)).toHaveLength(3);
    expect(await filesBelow(to)).toHaveLength(6);
    expect(await readdir(bench.work)).toEqual([]);
  });

  it("never writes over a different file, nor over another point of the same second", async () => {
    await using bench = await startExport();
    const sources = [await database(bench, "sessions", 7)];
    await bench.seal(sources);
    const to = join(bench.directory, "out");
    const sqlite = join(to, `sqlite/${STEM}/sqlite_20260102_030405.db`);
    await mkdir(join(to, `sqlite/${STEM}`), { recursive: true });
    await writeFile(sqlite, "somebody's");
    expect(await errorOf(bench.export([POINT_ID, "--to", to]))).toMatchObject({ code: "CONFLICT" });
    expect(await readFile(sqlite, "utf8")).toBe("somebody's");
    await rm(sqlite);
    await bench.export([POINT_ID, "--to", to]);
    const whole = await readFile(sqlite);
    await writeFile(sqlite, "flipped");
    const changed = await errorOf(bench.export([POINT_ID, "--to", to]));
    expect(changed).toMatchObject({ code: "CONFLICT", why: expect.stringContaining(sumOf(whole)) });
    expect(await readFile(sqlite, "utf8")).toBe("flipped");

    const other = "018f0000-0000-7000-8000-000000000077";
    await bench.seal(sources, other);
    const taken = await errorOf(bench.export([other, "--to", to]));
    expect(taken).toMatchObject({ code: "CONFLICT", why: expect.stringContaining(POINT_ID) });
  });

  it("names the sources where there are several of a kind, and one after the other they are the same files", async () => {
    await using bench = await startExport();
    await bench.seal([await database(bench, "one", 1), await database(bench, "two", 2)]);
    const [to, apart] = [join(bench.directory, "out"), join(bench.directory, "apart")];
    await bench.export([POINT_ID, "--to", to]);
    await bench.export([POINT_ID, "--to", apart, "--source", "two"]);
    expect(JSON.parse(await readFile(join(apart, `point/${STEM}/point_20260102_030405.json`), "utf8")).whole).toBe(
      false,
    );
    await bench.export([POINT_ID, "--to", apart, "--source", "one"]);
    expect(await filesBelow(apart)).toEqual(await filesBelow(to));
    expect(await filesBelow(to)).toContain(`sqlite/${STEM}/sqlite_20260102_030405_two.db`);
    await run("diff", ["-r", to, apart]);
    expect(await checkedSums(apart)).toHaveLength(3);
  });

  it("goes into a bucket, what is larger than memory in parts, and a second time writes nothing", async () => {
    await using bench = await startExport();
    await bench.seal([await database(bench, "sessions", 7), await tree(bench, LARGE)]);
    const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await ownBucket();
    const credentials = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    Object.assign(bench.environment, credentials);
    const to = `s3://${bucket}/exports?endpoint=${endpoint}&region=${region}`;
    await bench.export([POINT_ID, "--to", to]);
    await using store = await openObjectStore(to, { environment: credentials });
    const listed = async () =>
      (await Array.fromAsync(store.list(""))).map(({ name, modifiedMs }) => [name, modifiedMs]);
    const before = await listed();
    const tar = `files/${STEM}/files_20260102_030405.tar`;
    expect(before.map(([name]) => name)).toContain(tar);
    for (const [name] of before) {
      if (String(name).endsWith(".sha256")) continue;
      const line = Buffer.from(await store.get(`${name}.sha256`)).toString();
      expect(line).toBe(`${sumOf(await store.get(String(name)))}  ${String(name).split("/").at(-1)}\n`);
    }
    const said = JSON.parse(await bench.export([POINT_ID, "--to", to, "--json"]));
    expect(said.sources).toMatchObject([
      { written: 0, kept: 1 },
      { written: 0, kept: 1 },
    ]);
    expect(await listed()).toEqual(before);
  });

  it("says of each source what is missing here to export it, and exports the others", async () => {
    await using bench = await startExport();
    const missing: SourceUnderTest = {
      ...(await database(bench, "orders", 1)),
      change: (source) => ({ ...source, kind: "postgres", runtime: { ...source.runtime, id: "pg99-glibc" } }),
    };
    await bench.seal([missing, await database(bench, "sessions", 7)]);
    const to = join(bench.directory, "out");
    expect(await errorOf(bench.export([POINT_ID, "--to", to]))).toMatchObject({
      code: "PARTIAL",
      where: "orders",
      why: expect.stringContaining("PostgreSQL 99"),
      hint: expect.stringContaining("STILLPOINT_POSTGRES_BIN"),
    });
    expect(await checkedSums(to)).toContain("sqlite_20260102_030405.db: OK");
    await bench.export([POINT_ID, "--to", to, "--source", "sessions"]);
  });
});
