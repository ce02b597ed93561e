import { createReadStream } from "node:fs";
import { cp, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { filesSource } from "@stillpoint/contracts/source";
import { driverConformance } from "@stillpoint/driver/test/conformance";
import type { BodilessEntry, TreeEntry } from "@stillpoint/driver/tree";
import { describe, expect, it } from "vitest";
import { checkTree } from "../src/answer.ts";
import { OBJECTS_PATH, type ObjectLine, objectLine } from "../src/bucket/object-lists.ts";
import { filesDriver } from "../src/files-driver.ts";
import { filesMarkDetail } from "../src/mark-detail.ts";
import { bucketCapture, bucketContext, bucketSource } from "./own-bucket.ts";

async function objectsOf(restored: string): Promise<ObjectLine[]> {
  const text = await readFile(join(restored, OBJECTS_PATH), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => objectLine.parse(JSON.parse(line)));
}

async function failures(restored: string, detail: unknown): Promise<unknown[]> {
  const rows = await Array.fromAsync(checkTree(restored, filesMarkDetail.parse(detail).files));
  return rows.filter(({ verdict }) => verdict !== "pass");
}

describe("a bucket", () => {
  driverConformance("files", async () => {
    const bucket = await bucketSource();
    await bucket.put("elsewhere/not-ours", "x");
    const source = filesSource.parse({ kind: "files", bucket: { url: bucket.url("in") } });
    const nowhere = { url: "s3://nowhere-at-all?endpoint=http://127.0.0.1:9" };
    return {
      driver: filesDriver,
      source,
      unreachable: filesSource.parse({ kind: "files", bucket: nowhere }),
      context: (directory, signal) => bucketContext(directory, bucket.access, signal),
      write: async (sequence) => {
        await bucket.put(`in/${sequence}.json`, JSON.stringify({ id: `id-${sequence}`, seq: sequence }));
      },
      highest: `${bucket.Bucket}/*.json#seq`,
      traces: async () => [],
      [Symbol.asyncDispose]: async () => bucket[Symbol.dispose](),
    };
  });
});

for (const versioned of [false, true]) {
  it(`restores what was at the mark, with what each object carries, ${versioned ? "by its versions" : "inside the fence"}`, async () => {
    using bucket = await bucketSource({ versioned });
    const headers = {
      ContentType: "text/x-poem",
      CacheControl: "max-age=60",
      ContentDisposition: 'attachment; filename="a b"',
      ContentEncoding: "identity",
      ContentLanguage: "rm",
      Metadata: { owner: "somebody", "with-dash": "ü=%" },
    };
    await bucket.put("in/same", "same", { ...headers, Metadata: { owner: "somebody" } });
    await bucket.put("in/changed", "before");
    await bucket.put("in/gone", "gone");
    await bucket.put("in/deep/er/leaf + ü", "leaf");
    await bucket.put("in/left.tmp", "left out");
    await bucket.put("inside", "another prefix");
    await using test = await bucketCapture(bucket.url("in"), bucket.access, {}, { exclude: ["**/*.tmp"] });
    await test.capture.base(test.tree);
    await bucket.put("in/changed", "after it");
    await bucket.remove("in/gone");
    await bucket.put("in/new", "new");
    const mark = await test.mark();
    expect(mark).toMatchObject({ counts: { objects: 4 } });
    expect(mark.fuzzy).toBeUndefined();
    // After the mark nothing counts.
    await bucket.put("in/late", "late");
    await bucket.put("in/new", "newer");
    await bucket.remove("in/changed");
    await test.capture.finish(test.tree);
    await test.tree.finish();
    const back = (key: string) => readFile(join(test.restored, bucket.Bucket, key), "utf8");
    expect(await back("same")).toBe("same");
    expect(await back("changed")).toBe("after it");
    expect(await back("deep/er/leaf + ü")).toBe("leaf");
    expect(await back("new")).toBe("new");
    for (const key of ["gone", "late", "left.tmp"]) await expect(back(key)).rejects.toThrow("ENOENT");
    const objects = await objectsOf(test.restored);
    expect(objects.map(({ key }) => key)).toEqual(["in/changed", "in/deep/er/leaf + ü", "in/new", "in/same"]);
    const same = objects.find(({ key }) => key === "in/same");
    expect(same?.headers).toMatchObject({ ...headers, Metadata: { owner: "somebody" } });
    expect(same?.version === undefined).toBe(!versioned);
    expect(
      Math.abs((await stat(join(test.restored, bucket.Bucket, "same"))).mtimeMs - Date.parse(same?.modified ?? "")),
    ).toBeLessThan(1_000);
    expect(await failures(test.restored, mark.detail)).toEqual([]);
  });
}

it("keeps every version and every deletion where that is asked for", async () => {
  using bucket = await bucketSource({ versioned: true });
  for (const text of ["one", "two", "three"]) await bucket.put("a", text);
  await bucket.put("b", "deleted later");
  await bucket.remove("b");
  await using test = await bucketCapture(bucket.url(), bucket.access, { versions: "all" });
  await test.capture.base(test.tree);
  await bucket.put("a", "four");
  const mark = await test.mark();
  await bucket.put("a", "five");
  await test.capture.finish(test.tree);
  await test.tree.finish();
  const objects = await objectsOf(test.restored);
  const texts = await Promise.all(
    objects.map(async ({ key, latest, path }) => [
      key,
      latest,
      path === undefined ? "(deleted)" : await readFile(join(test.restored, path), "utf8"),
    ]),
  );
  expect(texts.sort()).toEqual(
    [
      ["a", false, "one"],
      ["a", false, "two"],
      ["a", false, "three"],
      ["a", true, "four"],
      ["b", false, "deleted later"],
      ["b", true, "(deleted)"],
    ].sort(),
  );
  expect(await readFile(join(test.restored, bucket.Bucket, "a"), "utf8")).toBe("four");
  expect(await failures(test.restored, mark.detail)).toEqual([]);
});

it("without a fence is at one moment only while nothing is written", async () => {
  using bucket = await bucketSource();
  for (let at = 0; at < 100; at += 1) await bucket.put(String(at), "x".repeat(100));
  await using test = await bucketCapture(bucket.url(), bucket.access);
  await test.capture.base(test.tree);
  let writing = true;
  const written = Promise.withResolvers<void>();
  const writer = (async () => {
    for (let at = 0; writing; at += 1) {
      await bucket.put(String(at % 100), `${at}`);
      if (at === 20) written.resolve();
    }
  })();
  try {
    await Promise.race([written.promise, writer]);
    expect((await test.mark(false)).fuzzy).toMatch(/no fence kept quiet|while being read/);
  } finally {
    writing = false;
    await writer;
  }
  expect((await test.mark(false)).fuzzy).toBeUndefined();
});

it("says that it is fuzzy when more changed than its budget allows, and captures it all the same", async () => {
  using bucket = await bucketSource();
  for (const key of ["a", "b"]) await bucket.put(key, "before");
  await using test = await bucketCapture(bucket.url(), bucket.access, {}, { budget: { bytes: 1_500 } });
  await test.capture.base(test.tree);
  for (const key of ["a", "b"]) await bucket.put(key, "x".repeat(1_000));
  const mark = await test.mark();
  expect(mark.fuzzy).toMatch(/more than 1500 bytes/);
  await bucket.remove("b");
  await test.capture.finish(test.tree);
  expect((await stat(join(test.restored, bucket.Bucket, "a"))).size).toBe(1_000);
  await expect(stat(join(test.restored, bucket.Bucket, "b"))).rejects.toThrow("ENOENT");
  expect(await failures(test.restored, mark.detail)).toEqual([]);
});

it("an object that is written over before it is read is captured as it is by then", async () => {
  using bucket = await bucketSource();
  await bucket.put("a", "small, and read ahead");
  await bucket.put("b", Buffer.alloc(2_000_000, 1));
  await using test = await bucketCapture(bucket.url(), bucket.access);
  const { add, covers } = test.tree;
  await test.capture.base({
    covers,
    async add(entry, body) {
      if (entry.path.endsWith("/a")) await bucket.put("b", Buffer.alloc(1_500_000, 2));
      return await add(entry, body);
    },
  });
  const b = await readFile(join(test.restored, bucket.Bucket, "b"));
  expect(b.equals(Buffer.alloc(1_500_000, 2))).toBe(true);
  const mark = await test.mark();
  expect(mark.fuzzy).toBeUndefined();
  await test.capture.finish(test.tree);
  expect(await failures(test.restored, mark.detail)).toEqual([]);
});

it("reads only what is not in the point before, and takes the rest over in the order of its base", async () => {
  using bucket = await bucketSource();
  const keys = Array.from({ length: 40 }, (_, at) => `k${at}`);
  for (const key of keys) await bucket.put(key, `first ${key}`, { ContentType: "text/plain" });
  await using before = await bucketCapture(bucket.url(), bucket.access);
  const order: string[] = [];
  await before.capture.base({
    ...before.tree,
    add(entry, body) {
      order.push(entry.path);
      return before.tree.add(entry, body);
    },
  });
  // In the finish and not in the base: it cannot be taken over.
  await bucket.put("k7", "in the finish");
  await before.mark();
  await before.capture.finish(before.tree);

  await bucket.put("k11", "changed since");
  await bucket.put("k11a", "new");
  await bucket.remove("k20");
  await using after = await bucketCapture(bucket.url(), bucket.access);
  const read: string[] = [];
  const taken: string[] = [];
  const tree = {
    ...after.tree,
    add(entry: TreeEntry, body?: AsyncIterable<Uint8Array>) {
      read.push(entry.path);
      return after.tree.add(entry, body);
    },
    async addBodiless(entries: readonly BodilessEntry[]) {
      for (const entry of entries) {
        if (entry.type !== "unchanged") throw new Error("not a file");
        const path = join(before.restored, entry.path);
        // As the vault takes it: in the state that the base has it in.
        expect([(await stat(path)).size, Math.round((await stat(path)).mtimeMs)]).toEqual([entry.size, entry.mtimeMs]);
        taken.push(entry.path);
        await cp(path, join(after.restored, entry.path), { preserveTimestamps: true });
      }
    },
  };
  const earlier = { read: (path: string) => createReadStream(join(before.restored, path)) };
  await mkdir(join(after.restored, bucket.Bucket));
  await after.capture.base(tree, earlier);
  expect(read).toEqual(["k11", "k11a", "k7"].map((key) => `${bucket.Bucket}/${key}`));
  expect(taken.length).toBe(37);
  expect(taken).toEqual(order.filter((path) => taken.includes(path)));
  const mark = await after.mark();
  await after.capture.finish(after.tree);
  expect(await failures(after.restored, mark.detail)).toEqual([]);
  const objects = await objectsOf(after.restored);
  expect(objects.every(({ headers }) => headers?.ContentType !== undefined)).toBe(true);
  expect(objects.find(({ key }) => key === "k3")?.headers?.ContentType).toBe("text/plain");
});

it("a bucket that is not there, and a key that may not read it, are told apart", async () => {
  using bucket = await bucketSource();
  const none = bucketCapture(bucket.url().replace(bucket.Bucket, "no-such-bucket"), bucket.access);
  await expect(none).rejects.toMatchObject({ code: "SOURCE_UNREACHABLE" });
  const wrong = bucketCapture(bucket.url(), { ...bucket.access, secretAccessKey: "wrong" });
  await expect(wrong).rejects.toMatchObject({ code: "SOURCE_DENIED" });
});
