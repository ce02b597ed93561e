import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SOURCE_KINDS } from "@stillpoint/contracts/names";
import { sharedS3 } from "@stillpoint/testkit/s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandIn } from "./command-in.ts";
import { runCommand, startTestSystem, type TestSystem } from "./system-fixture.ts";

describe("the command", () => {
  let test: TestSystem;
  beforeAll(async () => {
    test = await startTestSystem({ isolate: false, kinds: SOURCE_KINDS, validate: true });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  /** As a person starts it, in a process of its own. */
  const started = (args: string[], environment?: Record<string, string>) => runCommand(test, args, environment);
  const stillpoint = (args: string[], environment: Record<string, string> = {}, directory = test.directory) =>
    commandIn(directory, { ...test.world.environment, ...environment })(...args);

  it("backs up, lists, shows, validates and restores, and what it says as JSON agrees", async () => {
    const backup = await started(["backup", "--json"]);
    expect(backup).toMatchObject({ code: 0 });
    const { point } = JSON.parse(backup.out);
    expect(point.cut.consistency).toBe("fenced");
    expect(backup.err).toMatch(/sessions \(sqlite\): base stored/);

    const points = JSON.parse((await started(["points", "--json"])).out);
    expect(points.points.map((each: { point: { pointId: string } }) => each.point.pointId)).toContain(point.pointId);

    const validated = await started(["validate", point.pointId]);
    expect(validated.out).toMatch(/proof: pass, \d+ checks .*RTO measured/);
    expect(validated.code).toBe(0);
    const shown = JSON.parse((await started(["show", point.pointId, "--json"])).out);
    expect(shown.proofs.at(-1)).toMatchObject({ verdict: "pass" });

    const to = join(test.directory, "restored-by-vault");
    const restored = await started(["restore", point.pointId, "--to", to]);
    expect(restored.code).toBe(0);
    expect((await readdir(to)).sort()).toEqual(["sessions", "uploads"]);
    expect((await readdir(join(to, "uploads", "uploads"))).length).toBeGreaterThan(0);
    const refused = await started(["restore", point.pointId, "--to", to]);
    expect(refused).toMatchObject({ code: 4, err: expect.stringMatching(/RESTORE|holds sessions/) });
  });

  it("restores from the repository alone: a whole point, one source, one file; dry first", async () => {
    const { repository, keyFile } = test.system;
    const from = ["--repository", repository, "--key-file", keyFile];
    const alone = (args: string[]) => stillpoint([...args, ...from], {}, join(test.directory, "nothing-runs-here"));
    const to = join(test.directory, "restored-alone");
    const dry = await alone(["restore", "--to", to, "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, out: expect.stringMatching(/nothing was written/) });
    await expect(readdir(to)).rejects.toThrow("ENOENT");
    expect(await alone(["restore", "--to", to, "--source", "uploads"])).toMatchObject({ code: 0 });
    expect(await readdir(to)).toEqual(["uploads"]);
    const [config = ""] = await readdir(join(to, "uploads", "config"));
    const one = join(test.directory, "restored-one");
    expect(await alone(["restore", "--to", one, "--source", "uploads", "--path", `config/${config}`])).toMatchObject({
      code: 0,
    });
    expect(await readFile(join(one, "uploads", "config", config))).toEqual(
      await readFile(join(to, "uploads", "config", config)),
    );
    // A directory that holds some of it already is brought to what the point holds, and to nothing more.
    const kept = await readFile(join(to, "uploads", "config", config));
    await writeFile(join(to, "uploads", "config", config), "overwritten since");
    await writeFile(join(to, "uploads", "stray"), "not of the point");
    const again = ["restore", "--to", to, "--source", "uploads"];
    expect(await alone(again)).toMatchObject({ code: 4 });
    expect(await alone([...again, "--over"])).toMatchObject({ code: 0 });
    expect(await readFile(join(to, "uploads", "config", config))).toEqual(kept);
    expect(await readdir(join(to, "uploads"))).not.toContain("stray");
    expect(await stillpoint(["restore", "--to", to, "--over"])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--repository/),
    });
    const nowhere = await alone([
      "restore",
      "--to",
      join(test.directory, "none"),
      "--source",
      "uploads",
      "--path",
      "config/none",
    ]);
    expect(nowhere).toMatchObject({ code: 5, err: expect.stringMatching(/config\/none/) });
  });

  it("says what, where, why and what to do, with the exit code that belongs to it", async () => {
    const { repository, keyFile } = test.system;
    const wrong = join(test.directory, "wrong.key");
    await writeFile(wrong, "not it\n", { mode: 0o600 });
    const to = ["--to", join(test.directory, "not-made")];
    const cases: [string[], number, RegExp, Record<string, string>?][] = [
      [["restore", ...to, "--repository", repository, "--key-file", wrong], 4, /key|passphrase/i],
      [["restore", ...to, "--repository", join(test.directory, "no-such"), "--key-file", keyFile], 7, /does not exist/],
      [
        ["restore", "01900000-0000-7000-8000-000000000001", ...to, "--repository", repository, "--key-file", keyFile],
        5,
        /no such recovery point/,
      ],
      [["restore", "yesterday", ...to], 2, /stillpoint points/],
      [["restor"], 2, /unknown command/],
      [["backup", "no-such-plan"], 5, /no-such-plan/],
      [["status"], 7, /npm start|STILLPOINT_NATS_URL/, { STILLPOINT_HOME: join(test.directory, "nothing-runs-here") }],
    ];
    for (const [args, code, says, environment] of cases) {
      const done = await started(args, environment);
      expect({ args, code: done.code, err: done.err }).toMatchObject({ code, err: expect.stringMatching(says) });
    }
    await chmod(wrong, 0o644);
    expect(await started(["restore", ...to, "--repository", repository, "--key-file", wrong])).toMatchObject({
      code: 4,
      err: expect.stringMatching(/chmod 600/),
    });
  });

  it("shows status, and doctor tests every connection", async () => {
    const status = JSON.parse((await stillpoint(["status", "--json"])).out);
    expect(status.plans).toMatchObject([{ plan: "demo" }]);
    expect(status.agents.map(({ kind }: { kind: string }) => kind).sort()).toEqual([
      "files",
      "neo4j",
      "postgres",
      "qdrant",
      "sqlite",
    ]);
    const doctor = await stillpoint(["doctor"]);
    expect(doctor.out).toMatch(/✓ demo: sessions/);
    expect(doctor.code).toBe(0);
  });

  it("says of each point why it stays, and applies a retention plan that lets nothing go", async () => {
    const file = join(test.directory, "retention.json");
    const planned = await stillpoint(["retention", "plan", "--out", file]);
    expect(planned).toMatchObject({ code: 0, out: expect.stringMatching(/keep .*the newest whole point/) });
    const json = JSON.parse((await stillpoint(["retention", "plan", "--json"])).out);
    expect(json.retention[0]).toMatchObject({ policy: "tiered-15m", goCount: 0 });
    expect(await stillpoint(["retention", "apply", file])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/: 0 points deleted/),
    });
    expect(await stillpoint(["retention", "apply", join(test.directory, "none.json")])).toMatchObject({ code: 2 });
  });

  it("rebuilds the catalog from the repository, and it is equal", async () => {
    const before = JSON.parse((await stillpoint(["points", "--json"])).out);
    const rebuilt = await stillpoint(["catalog", "rebuild", "--json"]);
    expect(JSON.parse(rebuilt.out)).toMatchObject({ points: before.points.length });
    expect(JSON.parse((await stillpoint(["points", "--json"])).out)).toEqual(before);
  });

  it("makes a repository on S3 explicitly, once, and names a bucket that is not there", async () => {
    const s3 = await sharedS3();
    const environment = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    const key = join(test.directory, "s3", "key");
    await mkdir(join(test.directory, "s3"));
    const missing = `s3://no-such-bucket/x?endpoint=${s3.endpoint}&region=us-east-1`;
    expect(await stillpoint(["repo", "init", "--repository", missing, "--key-file", key], environment)).toMatchObject({
      code: 7,
      err: expect.stringMatching(/no-such-bucket/),
    });
    const missingRepository = await stillpoint([
      "repo",
      "check",
      "--repository",
      join(test.directory, "s3"),
      "--key-file",
      key,
    ]);
    expect(missingRepository).toMatchObject({ code: 5 });
    const here = ["--repository", join(test.directory, "new-repository"), "--key-file", key];
    expect(await stillpoint(["repo", "init", ...here])).toMatchObject({ code: 0 });
    expect(await stillpoint(["repo", "init", ...here])).toMatchObject({ code: 6 });
    expect(await stillpoint(["repo", "check", ...here])).toMatchObject({ code: 0 });
  });

  it("refuses a damaged pack by name, and leaves a note that the restore is not whole", async () => {
    const { repository, keyFile } = test.system;
    const packs = join(repository, "packs");
    for (const name of await readdir(packs, { recursive: true })) {
      const bytes = await readFile(join(packs, name)).catch(() => undefined);
      if (bytes === undefined) continue; // a directory
      for (let at = 100; at < bytes.length; at += 1_000) bytes[at] = (bytes[at] ?? 0) ^ 1;
      await chmod(join(packs, name), 0o600);
      await writeFile(join(packs, name), bytes);
    }
    const to = join(test.directory, "damaged");
    const restored = await stillpoint(["restore", "--to", to, "--repository", repository, "--key-file", keyFile]);
    expect(restored).toMatchObject({ code: 8, err: expect.stringMatching(/packs\//) });
    expect(await readdir(to)).toContain("RESTORE-INCOMPLETE");
    const check = await stillpoint(["repo", "check", "--read-data", "--repository", repository, "--key-file", keyFile]);
    expect(check).toMatchObject({ code: 8, out: expect.stringMatching(/packs\//) });
  });
});
