import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point } from "@stillpoint/contracts/point";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository } from "@stillpoint/repository/repository";
import { ownBucket } from "@stillpoint/testkit/s3";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import { program } from "../src/commands.ts";
import type { World } from "../src/world.ts";
import { testWorld } from "./system-fixture.ts";

const AT = "2026-01-02T03:04:05.000Z";
const id = (n: number) => `018f0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const BODY = randomBytes(300_000);

function point(n: number, backups: string[]): Point {
  const cut = { cutId: id(20), mode: "align" as const, at: AT, consistency: "aligned" as const, reasons: [] };
  return {
    pointId: id(n),
    runId: id(10 + n),
    plan: "shop",
    revision: "0".repeat(64),
    entries: [],
    cut: { ...cut, windowMs: 1, skewMs: 1, offsetsMs: { config: 1 } },
    sources: [
      {
        source: "config",
        kind: "files",
        site: "default",
        backups,
        mark: { cutId: id(20), position: "1", detail: {}, notes: [] },
        runtime: { id: "files", version: "1", arch: "x64", extensions: [], settings: {} },
        addresses: [],
        bytes: BODY.length,
        storedBytes: BODY.length,
        ms: 1,
      },
    ],
    skipped: [],
    partial: false,
    startedAt: AT,
    sealedAt: AT,
  };
}

/** A primary, two empty replicas and the targets file that names them. */
async function setup() {
  await using opening = new AsyncDisposableStack();
  const { path: directory } = opening.use(await temporaryDirectory("repo-replicas"));
  const keyFile = join(directory, "key");
  await writeFile(keyFile, "a passphrase of the tests\n", { mode: 0o600 });
  const places = Object.fromEntries(["first", "near", "far"].map((name) => [name, join(directory, name)]));
  for (const place of Object.values(places)) await mkdir(place);
  const targets = join(directory, "targets.yaml");
  await writeFile(
    targets,
    `primary: { url: ${places.first} }\nreplicas:\n  near: { url: ${places.near} }\n  far: { url: ${places.far} }\n`,
  );
  const passphrase = await readKeyFile(keyFile);
  const store = opening.use(await openObjectStore(places.first ?? "", { environment: {} }));
  const random = (length: number) => randomBytes(length);
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });

  const said: string[] = [];
  const environment: Record<string, string> = {};
  const interrupted = new AbortController();
  const world: World = {
    ...testWorld(directory),
    environment,
    home: directory,
    partsDirectory: directory,
    out: (text) => said.push(text),
    signal: interrupted.signal,
  };
  const runAt = async (where: string, ...words: string[]) => {
    said.length = 0;
    await program(world).parseAsync([...words, "--repository", where, "--key-file", keyFile], { from: "user" });
    return said.join("");
  };
  const codeAt = (where: string, ...words: string[]) =>
    runAt(where, ...words).then(
      () => "ok",
      (error: unknown) => (error instanceof StillpointError ? error.code : String(error)),
    );
  const run = (...words: string[]) => runAt(targets, ...words);
  const code = (...words: string[]) => codeAt(targets, ...words);
  const backUp = async (where: string, target: string, n: number) => {
    await using opened = await openObjectStore(where, { environment: {} });
    await using repository = await openRepository(opened, { passphrase, threads: 0, target });
    const writer = createTarWriter();
    const entry = { type: "file", path: "a", mode: 0o640, mtimeMs: 1, size: BODY.length, hint: "content" } as const;
    const body = async function* () {
      yield BODY;
    };
    writer.add(entry, body()).then(
      () => writer.end(),
      (error: unknown) => writer.fail(error),
    );
    const head = { backupId: `b${n}`, plan: "shop", source: "config", kind: "files", type: "full" } as const;
    await repository.writeBackup({ ...head, runId: id(10 + n), startedAt: AT }, writer.stream);
    await repository.sealPoint(point(n, [`b${n}`]));
  };
  const all = opening.move();
  const { first = "", near = "", far = "" } = places;
  return {
    directory,
    environment,
    first,
    near,
    far,
    run,
    code,
    runAt,
    codeAt,
    backUp,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function names(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("/."))
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((name) => !name.startsWith("condemned/"))
    .sort();
}

describe("stillpoint repo", () => {
  it("replicates to all replicas once, and status says how far each is behind", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    const before = JSON.parse(await all.run("repo", "status", "--json"));
    expect(before.targets.map(({ name, role }: Record<string, string>) => [name, role])).toEqual([
      ["primary", "primary"],
      ["near", "replica"],
      ["far", "replica"],
    ]);
    expect(before.targets[1].lag).toMatchObject({ objects: (await names(all.first)).length });
    expect(before.targets[1].lag.bytes).toBeGreaterThan(BODY.length);
    expect(await all.run("repo", "replicate", "--once")).toMatch(/near: copied .*nothing is behind\nfar: copied/);
    expect(await names(all.near)).toEqual(await names(all.first));
    expect(await names(all.far)).toEqual(await names(all.first));
    const after = JSON.parse(await all.run("repo", "status", "--json"));
    expect(after.targets[2].lag).toEqual({ objects: 0, bytes: 0, seconds: 0 });
    expect(after.targets[0].figures.kinds.packs.objects).toBe(after.targets[2].figures.kinds.packs.objects);
    expect(await all.run("repo", "status")).toMatch(/near +replica +\d+ +.*none/);
  });

  it("goes on to the next replica where one is out of reach, and fails in the end", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    await rm(all.near, { recursive: true });
    expect(await all.code("repo", "replicate", "--once")).toBe("BUCKET_MISSING");
    expect(await names(all.far)).toEqual(await names(all.first));
    const { targets } = JSON.parse(await all.run("repo", "status", "--json"));
    expect(targets[1].error).toMatch(/near/);
    expect(targets[2].lag.objects).toBe(0);
  });

  it("promotes only when told to, and then the old primary refuses and is a replica", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    expect(await all.run("repo", "promote", "near")).toMatch(/1 points; they would be copied first/);
    expect(await all.run("repo", "promote", "near", "--yes", "--dry-run")).toMatch(/nothing was changed/);
    expect(await names(all.near)).toEqual([]);
    expect(await all.code("repo", "promote", "nowhere", "--yes")).toBe("NOT_FOUND");
    expect(await all.run("repo", "promote", "near", "--yes")).toMatch(/near is the primary; nothing was left behind/);
    await expect(all.backUp(all.first, "primary", 2)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    expect(await all.code("repo", "promote", "near", "--yes")).toBe("CONFLICT");
    // By whatever name its URL is opened: it is the place that counts.
    await all.backUp(all.near, "primary", 3);
    await all.run("repo", "replicate", "--once");
    expect(await names(all.first)).toEqual(await names(all.near));
    const status = JSON.parse(await all.run("repo", "status", "--json"));
    expect(status.promotion).toMatchObject({ target: "near" });
    expect(status.targets.map(({ name }: { name: string }) => name)).toEqual(["near", "primary", "far"]);
  });

  it("goes by the promotion for keys too, and takes a URL for the target that lies there", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    await all.run("repo", "promote", "near", "--yes");
    const slots = async (place: string) => (await names(place)).filter((name) => name.startsWith("keys/"));
    const before = await slots(all.first);
    const added = JSON.parse(
      await all.run("key", "add", "key-file", join(all.directory, "more"), "--new-identity", "--json"),
    );
    expect(await slots(all.near)).toContain(`keys/${added.slot}`);
    expect(await slots(all.first)).toEqual(before);
    expect(JSON.parse(await all.run("key", "list", "--json")).slots).toHaveLength(before.length + 1);

    const remove = ["key", "remove", added.slot, "--yes"];
    expect(await all.codeAt(all.first, ...remove)).toBe("NOT_FOUND");
    expect(await all.codeAt(all.first, "point", "delete", id(1))).toBe("NOT_PRIMARY");
    expect(await all.codeAt(all.near, ...remove)).toBe("ok");
    expect(await all.codeAt(all.near, "point", "delete", id(1))).toBe("ok");
  });

  it("where the promoted target has moved says so, and goes on when it is promoted at its new place", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    await all.run("repo", "promote", "near", "--yes");
    await all.run("repo", "promote", "primary", "--yes");
    const moved = `${all.first}-moved`;
    await rename(all.first, moved);
    const targets = join(all.directory, "moved.yaml");
    await writeFile(targets, `primary: { url: ${moved} }\nreplicas:\n  near: { url: ${all.near} }\n`);
    expect(await all.codeAt(targets, "key", "list")).toBe("CONFIG_INVALID");
    expect(await all.codeAt(targets, "repo", "promote", "primary", "--yes")).toBe("REPLICA_BEHIND");
    expect(await all.codeAt(targets, "repo", "promote", "primary", "--yes", "--accept-loss")).toBe("ok");
    expect(await all.codeAt(targets, "key", "list")).toBe("ok");
    await all.backUp(moved, "primary", 2);
    await all.runAt(targets, "repo", "replicate", "--once");
    expect(await names(all.near)).toEqual(await names(moved));
  });

  it("promotes a bucket with the primary out of reach, and takes in later what that has", async () => {
    await using all = await setup();
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = await ownBucket();
    Object.assign(all.environment, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
    const targets = join(all.directory, "cloud.yaml");
    const cloud = `"s3://${bucket}/shop?endpoint=${endpoint}&region=${region}"`;
    await writeFile(targets, `primary: { url: ${all.first} }\nreplicas:\n  cloud: { url: ${cloud} }\n`);
    await all.backUp(all.first, "primary", 1);
    await all.runAt(targets, "repo", "replicate", "--once");
    await all.backUp(all.first, "primary", 2);
    const away = `${all.first}-away`;
    await rename(all.first, away);
    expect(await all.codeAt(targets, "repo", "promote", "cloud", "--yes", "--accept-loss")).toBe("ok");
    await rename(away, all.first);
    expect(await all.runAt(targets, "repo", "replicate", "--take-in", "primary")).toMatch(/cloud: copied/);
    const { points } = JSON.parse(await all.runAt(targets, "points", "--json"));
    expect(points.map((each: { point: Point }) => each.point.pointId).sort()).toEqual([id(1), id(2)]);
  });

  it("with the primary out of reach: restores from a replica, promotes with the loss accepted, and takes it in later", async () => {
    await using all = await setup();
    await all.backUp(all.first, "primary", 1);
    await all.run("repo", "replicate", "--once");
    await all.backUp(all.first, "primary", 2);
    const away = `${all.first}-away`;
    await rename(all.first, away);
    const listed = JSON.parse(await all.run("points", "--json", "--limit", "1"));
    expect(listed.points.map((each: { point: Point }) => each.point.pointId)).toEqual([id(1)]);
    expect(await all.run("points", "--plan", "another")).not.toContain(id(1));
    const to = join(all.directory, "restored");
    await all.run("restore", id(1), "--to", to);
    expect((await readFile(join(to, "config", "a"))).equals(BODY)).toBe(true);

    expect(await all.code("repo", "promote", "far", "--yes")).toBe("REPLICA_BEHIND");
    expect(await all.run("repo", "promote", "far", "--yes", "--accept-loss")).toMatch(/far has 1 points/);
    await all.backUp(all.far, "far", 3);
    await rename(away, all.first);
    const { targets } = JSON.parse(await all.run("repo", "status", "--json"));
    expect(targets.find(({ name }: { name: string }) => name === "primary").onlyThere).toBeGreaterThan(0);
    expect(await all.run("repo", "replicate", "--take-in", "primary")).toMatch(/far: copied/);
    await all.run("repo", "replicate", "--once");
    expect(await names(all.first)).toEqual(await names(all.far));
    expect(await names(all.far)).toContain("backups/b2");
    expect(await names(all.far)).toContain("backups/b3");
    await expect(all.backUp(all.first, "primary", 4)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
  });
});
