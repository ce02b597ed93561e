import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkTreePath } from "@stillpoint/driver/tree-path";
import { expect, it } from "vitest";
import { checkTree } from "../src/answer.ts";
import { OBJECTS_PATH, objectLine } from "../src/bucket/object-lists.ts";
import { aboveFinder, fitsDirectory, objectPath } from "../src/bucket/object-path.ts";
import { filesMarkDetail } from "../src/mark-detail.ts";
import { objectStandIn } from "./object-stand-in.ts";
import { bucketCapture } from "./own-bucket.ts";

const HOSTILE = [
  "../outside",
  "../../../../../../tmp/outside",
  "/absolute",
  "a/../../outside",
  "./here",
  "folder/",
  "double//slash",
  "a",
  "a!",
  "a/b",
  "a/b/c",
  ".stillpoint/files.ndjson",
  ".stillpoint/objects.ndjson",
  "..",
  ".",
  `long/${"n".repeat(300)}/name`,
  "e\u0301 and \u00e9",
  "new\nline\ttab \u0001",
  "per%2e%2ecent + plus",
  "~tilde~",
  "back\\slash",
  "🗻/emoji",
];

it("a bucket of hostile keys comes back whole, and nothing lies outside of the destination", async () => {
  const objects = new Map(HOSTILE.map((key, at) => [key, Buffer.from(`${at}: ${key}`)]));
  await using server = await objectStandIn(objects);
  await using test = await bucketCapture(server.url, server.access);
  await test.capture.base(test.tree);
  // What was a plain file is a directory's now, and the other way round.
  objects.set("per%2e%2ecent + plus/below", Buffer.from("below"));
  objects.delete("a");
  const mark = await test.mark();
  expect(mark.fuzzy).toBeUndefined();
  await test.capture.finish(test.tree);
  await test.tree.finish();

  const lines = (await readFile(join(test.restored, OBJECTS_PATH), "utf8")).trimEnd().split("\n");
  const back = new Map<string, Buffer>();
  for (const { key, path = "" } of lines.map((line) => objectLine.parse(JSON.parse(line))))
    back.set(key, await readFile(join(test.restored, checkTreePath(path))));
  expect(new Map([...back].sort())).toEqual(new Map([...objects].sort()));
  expect(await readFile(join(test.restored, "bucket/a/b"), "utf8")).toBe(`${HOSTILE.indexOf("a/b")}: a/b`);
  expect((await readdir(test.restored)).sort()).toEqual([".stillpoint", "bucket"]);
  expect((await readdir(dirname(test.restored))).sort()).toEqual(["own", "restored"]);
  const rows = await Array.fromAsync(checkTree(test.restored, filesMarkDetail.parse(mark.detail).files));
  expect(rows.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
});

it("no two keys share a path, and every path stays below the top", () => {
  const keys = [
    ...HOSTILE,
    ...HOSTILE.map((key) => encodeURIComponent(key)),
    `${"n".repeat(400)}1`,
    `${"n".repeat(400)}2`,
  ];
  for (const belowAnother of [false, true]) {
    const paths = keys.map((key) => objectPath("bucket", { key, version: "", latest: true, belowAnother }));
    for (const path of paths) expect(fitsDirectory(path), path).toBe(true);
    expect(new Set(paths).size).toBe(new Set(keys).size);
  }
});

it("finds keys below others whatever lies between them", () => {
  const isBelow = aboveFinder();
  const keys = ["a", "a!", "a!/x", "a-", "a/b", "a/b/c", "a0", "b/c", "b/c/d", "b/cc"];
  expect(keys.filter((key) => isBelow(key))).toEqual(["a!/x", "a/b", "a/b/c", "b/c/d"]);
});

it("a connection that breaks off is taken up where it broke", async () => {
  const bytes = Buffer.alloc(3_000_000, 5);
  bytes.fill(6, 1_000_000, 1_700_000);
  await using server = await objectStandIn(new Map([["large", bytes]]));
  server.state.breakAfter = 1_000_000;
  await using test = await bucketCapture(server.url, server.access);
  await test.capture.base(test.tree);
  expect(server.state.broken).toBeGreaterThan(0);
  expect((await readFile(join(test.restored, "bucket/large"))).equals(bytes)).toBe(true);
});
