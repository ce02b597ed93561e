import { randomUUID } from "node:crypto";
import { mkdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import type { Point } from "@stillpoint/contracts/point";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { commandIn } from "./command-in.ts";

function pointOn(backupId: string, cutAt: string): Point {
  const cutId = randomUUID();
  const evidence = { cutId, mode: "align" as const, at: cutAt, consistency: "aligned" as const, reasons: [] };
  const runtime = { id: "files", version: "1", arch: "x64", extensions: [], settings: {} };
  return {
    pointId: uuidv7(Date.parse(cutAt), Buffer.alloc(10, 1)),
    runId: randomUUID(),
    plan: "shop",
    revision: "a".repeat(64),
    entries: [],
    cut: { ...evidence, windowMs: 1, skewMs: 1, offsetsMs: {} },
    sources: [
      {
        source: "uploads",
        kind: "files",
        site: "default",
        backups: [backupId],
        mark: { cutId, position: "1", detail: {}, notes: [] },
        runtime,
        addresses: [],
        bytes: 1,
        storedBytes: 1,
        ms: 1,
      },
    ],
    skipped: [],
    partial: false,
    startedAt: cutAt,
    sealedAt: cutAt,
  };
}

it("lists every version of a file with the points that have it, and each is restored from there", async () => {
  await using directory = await temporaryDirectory("cli-versions");
  const at = (name: string) => join(directory.path, name);
  const run = commandIn(directory.path);
  const where = ["--repository", at("repository"), "--key-file", at("key")];
  expect(await run("repo", "init", ...where, "--new-identity")).toMatchObject({ code: 0 });
  const states = ["first", "first", undefined, "second", "second", "first"];
  {
    await using store = await openObjectStore(at("repository"), { environment: {} });
    await using repository = await openRepository(store, {
      opener: await configuredOpener({ keyFile: at("key") }, {}),
      threads: 0,
    });
    await mkdir(at("tree"));
    for (const [day, content] of states.entries()) {
      await rm(at("tree/report"), { force: true });
      const cutAt = toInstant(Date.UTC(2026, 0, 1 + day, 12));
      const files = content === undefined ? [] : ["report"];
      if (content !== undefined) await writeFile(at("tree/report"), content.repeat(10));
      const mtimeMs = Date.UTC(2026, 0, content === "second" ? 4 : 1);
      if (content !== undefined) await utimes(at("tree/report"), mtimeMs / 1000, mtimeMs / 1000);
      const items = async function* () {
        yield { entry: { type: "directory" as const, path: "tree", mode: 0o755, mtimeMs: 0 }, file: at("tree") };
        for (const name of files) {
          const size = (await readFile(at(`tree/${name}`))).length;
          const entry = { type: "file" as const, path: `tree/${name}`, mode: 0o600, mtimeMs, size };
          yield { entry: { ...entry, hint: "content" as const }, file: at(`tree/${name}`) };
        }
      };
      const head = { plan: "shop", source: "uploads", kind: "files" as const, type: "full" as const };
      await repository.writeFiles({ ...head, backupId: `day-${day}`, runId: randomUUID(), startedAt: cutAt }, items());
      await repository.sealPoint(pointOn(`day-${day}`, cutAt));
    }
  }
  const listed = await run("versions", "tree/report", ...where, "--json");
  expect(listed).toMatchObject({ code: 0 });
  const { versions } = JSON.parse(listed.out) as {
    versions: { state: string; size: number; points: number; lastPoint: string }[];
  };
  expect(versions.map(({ state, size, points }) => [state, size, points])).toEqual([
    ["file", 50, 2],
    ["absent", 0, 1],
    ["file", 60, 2],
    ["file", 50, 1],
  ]);
  const contents: string[] = [];
  for (const [n, { state, lastPoint }] of versions.entries()) {
    if (state === "absent") continue;
    const to = at(`back-${n}`);
    const wanted = ["--source", "uploads", "--path", "tree/report", "--to", to];
    expect(await run("restore", lastPoint, ...where, ...wanted)).toMatchObject({ code: 0 });
    contents.push(await readFile(join(to, "uploads/tree/report"), "utf8"));
  }
  expect(contents).toEqual(["first", "second", "first"].map((content) => content.repeat(10)));
  const people = await run("versions", "tree/report", ...where);
  expect(people.out.split("\n").filter((line) => line.includes("shop/uploads"))).toHaveLength(4);
  expect(await run("versions", "tree/other", ...where)).toMatchObject({
    code: expect.any(Number),
    err: expect.stringContaining("No point holds that path"),
  });
  expect((await run("versions", "tree/other", ...where)).code).not.toBe(0);
});
