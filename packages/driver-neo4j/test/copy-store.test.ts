import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { treeFiles } from "@stillpoint/driver/layout";
import type { TreeEntry, TreeWriter } from "@stillpoint/driver/tree";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { copyStore } from "../src/copy-store.ts";

const signal = new AbortController().signal;
let directory: TemporaryDirectory;
let store: string;
let entries: TreeEntry[];
beforeEach(async () => {
  directory = await temporaryDirectory("neo4j-store");
  store = join(directory.path, "source");
  entries = [];
  await mkdir(join(directory.path, "tree"));
});
afterEach(async () => await directory[Symbol.asyncDispose]());

async function put(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(store, path)), { recursive: true });
  await writeFile(join(store, path), content);
}

/** A page tree's file whose state pages tell a generation, as a checkpoint changes them. */
function pageTree(generation: number): Buffer {
  const bytes = Buffer.alloc(5 * 8192, 1);
  bytes.writeUInt32LE(generation, 8192 + 100);
  bytes.writeUInt32LE(generation, 4 * 8192);
  return bytes;
}

/** Copies, with something happening in the source whenever an entry was written. */
async function copied(happens: (path: string) => Promise<void> = async () => undefined): Promise<string[]> {
  const tree = directoryTree(join(directory.path, "tree"));
  const writer: TreeWriter = {
    async add(entry, body) {
      entries.push(entry);
      const result = await tree.add(entry, body);
      await happens(entry.path);
      return result;
    },
    covers: tree.covers,
  };
  return await copyStore(writer, { directory: store, treeDirectory: "db", signal });
}
const inTree = async () => (await treeFiles(join(directory.path, "tree"))).map(({ path }) => path);
const times = (path: string) => entries.filter((entry) => entry.type === "file" && entry.path === path).length;

test("locks and what belongs to the running server alone stay behind; pages are told as pages", async () => {
  await put("neostore", Buffer.alloc(8192));
  await put("neostore.nodestore.db", Buffer.alloc(16_384));
  await put("neostore.nodestore.db.id", pageTree(1));
  await put("database_lock", "");
  await put("id-buffer.tmp.0", "");
  await put("schema/index/range-1.0/3/index-3", pageTree(1));
  await put("schema/index/fulltext-1.0/5/1/segments_1", "a");
  await put("schema/index/fulltext-1.0/5/1/write.lock", "");
  await put("schema/index/fulltext-1.0/5/failure-message", "");
  expect(await copied()).toEqual([]);
  expect(await inTree()).toEqual([
    "db/neostore",
    "db/neostore.nodestore.db",
    "db/neostore.nodestore.db.id",
    "db/schema/index/fulltext-1.0/5/1/segments_1",
    "db/schema/index/fulltext-1.0/5/failure-message",
    "db/schema/index/range-1.0/3/index-3",
  ]);
  const hints = Object.fromEntries(entries.map((entry) => [entry.path, entry.type === "file" ? entry.hint : ""]));
  expect(hints).toMatchObject({
    "db/neostore.nodestore.db": "page:8192",
    "db/schema/index/range-1.0/3/index-3": "page:8192",
    "db/schema/index/fulltext-1.0/5/1/segments_1": "content",
  });
});

test("a page tree that a checkpoint changed while it was copied is copied again", async () => {
  await put("neostore.counts.db", pageTree(1));
  const leftOut = await copied(async (path) => {
    if (path === "db/neostore.counts.db" && times(path) === 1) await put("neostore.counts.db", pageTree(2));
  });
  expect(leftOut).toEqual([]);
  expect(times("db/neostore.counts.db")).toBe(2);
  expect(await readFile(join(directory.path, "tree/db/neostore.counts.db"))).toEqual(pageTree(2));
});

test("one that never holds still is left out and named, and no torn copy of it stays", async () => {
  await put("neostore.counts.db", pageTree(1));
  await put("neostore.nodestore.db", Buffer.alloc(8192));
  let generation = 1;
  const leftOut = await copied(async (path) => {
    generation += 1;
    if (path.endsWith("counts.db")) await put("neostore.counts.db", pageTree(generation));
  });
  expect(leftOut).toEqual(["neostore.counts.db"]);
  expect(times("db/neostore.counts.db")).toBe(3);
  expect(await inTree()).toEqual(["db/neostore.nodestore.db"]);
});

test("records are copied once, however they change: the log makes them right", async () => {
  await put("neostore.nodestore.db", Buffer.alloc(8192, 1));
  await copied(async () => await put("neostore.nodestore.db", Buffer.alloc(32_768, 2)));
  expect(times("db/neostore.nodestore.db")).toBe(1);
});

test("a Lucene index that commits meanwhile is copied again, without what the commit took away", async () => {
  const index = "schema/index/fulltext-1.0/5/1";
  await put(`${index}/_0.cfs`, "old");
  await put(`${index}/segments_1`, "1");
  let committed = false;
  const leftOut = await copied(async (path) => {
    if (committed || !path.endsWith("segments_1")) return;
    committed = true;
    await rm(join(store, index, "_0.cfs"));
    await rm(join(store, index, "segments_1"));
    await put(`${index}/_1.cfs`, "new");
    await put(`${index}/segments_2`, "2");
  });
  expect(leftOut).toEqual([]);
  expect(await inTree()).toEqual([`db/${index}/_1.cfs`, `db/${index}/segments_2`]);
});

test("an index that is dropped meanwhile is no error; a record file that is, fails the backup", async () => {
  await put("neostore", "a");
  await put("neostore.nodestore.db", "b");
  await put("schema/index/range-1.0/3/index-3", pageTree(1));
  await copied(async () => await rm(join(store, "schema"), { recursive: true, force: true }));
  expect(await inTree()).toEqual(["db/neostore", "db/neostore.nodestore.db"]);
  await put("neostore.propertystore.db", "c");
  const gone = copied(async () => await rm(join(store, "neostore.propertystore.db"), { force: true }));
  await expect(gone).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
});

test("a symbolic link is refused, for its target would be missing from the copy", async () => {
  await put("neostore", "a");
  await symlink("/dev/null", join(store, "neostore.nodestore.db"));
  await expect(copied()).rejects.toMatchObject({ code: "SOURCE_UNSUPPORTED" });
});
