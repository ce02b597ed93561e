import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import {
  appendFile,
  chmod,
  mkdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { filesSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { checkTree } from "../src/answer.ts";
import { openCapture } from "../src/capture.ts";
import { findRoots, nameRoots } from "../src/roots.ts";
import { scan } from "../src/scan.ts";
import { openSpool } from "../src/spool.ts";

const KB = Buffer.alloc(1_000, 1);

async function setUp(budget: { ms?: number; bytes?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory("files"));
  const data = join(path, "data");
  const [restored, own] = [join(path, "restored"), join(path, "own")];
  for (const each of [data, restored, own]) await mkdir(each);
  const source = filesSource.parse({ kind: "files", paths: [data], exclude: ["**/*.tmp"], budget });
  const context: DriverContext = {
    directory: own,
    signal: new AbortController().signal,
    secret: () => {
      throw new Error("files have no secrets");
    },
    monotonicMs: () => performance.now(),
    now: Date.now,
    log: () => undefined,
    tools: {},
  };
  const capture = await openCapture(source, context);
  const tree = directoryTree(restored);
  const mark = (fenced = true) => capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced });
  return { data, restored, capture, tree, mark, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it("restores what was at the mark: changed, new, deleted, moved, with mode, time and links", async () => {
  await using test = await setUp();
  const at = (name: string) => join(test.data, name);
  await mkdir(at("sub"));
  for (const name of ["same", "longer", "shorter", "gone", "sub/deep", "left.tmp"]) await writeFile(at(name), KB);
  await symlink("same", at("link"));
  await test.capture.base(test.tree);

  await appendFile(at("longer"), "more");
  await truncate(at("shorter"), 10);
  await rm(at("gone"));
  await rm(at("sub"), { recursive: true });
  await writeFile(at("sub"), "a file where a directory was");
  await writeFile(at("new"), "new");
  await chmod(at("same"), 0o600);
  await utimes(at("same"), 1_000_000, 1_000_000);
  const mark = await test.mark();
  expect(mark.fuzzy).toBeUndefined();
  // After the mark nothing counts.
  await writeFile(at("late"), "late");
  await appendFile(at("new"), "er");
  await test.capture.finish(test.tree);
  await test.tree.finish();

  const back = (name: string) => join(test.restored, "data", name);
  expect((await readFile(back("longer"))).length).toBe(1_004);
  expect((await readFile(back("shorter"))).length).toBe(10);
  expect(await readFile(back("sub"), "utf8")).toBe("a file where a directory was");
  expect(await readFile(back("new"), "utf8")).toBe("new");
  expect(await readlink(back("link"))).toBe("same");
  const same = await stat(back("same"));
  expect([same.mode & 0o777, same.mtimeMs]).toEqual([0o600, 1_000_000_000]);
  for (const name of ["gone", "late", "left.tmp"]) await expect(stat(back(name))).rejects.toThrow("ENOENT");
  const rows = await Array.fromAsync(checkTree(test.restored, mark.counts?.files ?? -1));
  expect(rows.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
});

it("does not bring back what was gone before it could be sent again", async () => {
  await using test = await setUp();
  const [doomed, other] = [join(test.data, "doomed"), join(test.data, "other")];
  for (const path of [doomed, other]) await writeFile(path, KB);
  let sent = 0;
  const tree: TreeWriter = {
    async add(entry, body) {
      const added = await test.tree.add(entry, body);
      // Read to its end, and gone before anybody looks whether it held still.
      if (entry.type === "file" && entry.path.endsWith("doomed") && ++sent === 1) await rm(doomed);
      return added;
    },
    covers: (range) => test.tree.covers(range),
  };
  await test.capture.base(tree);
  expect(sent).toBe(1);
  expect((await test.mark()).fuzzy).toBeUndefined();
  await test.capture.finish(tree);
  await expect(stat(join(test.restored, "data", "doomed"))).rejects.toThrow("ENOENT");
  expect((await readFile(join(test.restored, "data", "other"))).length).toBe(1_000);
});

it("says that it is fuzzy when more changed than its budget allows, and captures it all the same", async () => {
  await using test = await setUp({ bytes: 1_500 });
  for (const name of ["a", "b"]) await writeFile(join(test.data, name), KB);
  await test.capture.base(test.tree);
  for (const name of ["a", "b"]) await appendFile(join(test.data, name), "x");
  expect((await test.mark()).fuzzy).toMatch(/more than 1500 bytes/);
  await test.capture.finish(test.tree);
  for (const name of ["a", "b"]) expect((await readFile(join(test.restored, "data", name))).length).toBe(1_001);
});

it("a restored file with one other byte fails the proof, and so do a missing and a surplus one", async () => {
  await using test = await setUp();
  for (const name of ["a", "b"]) await writeFile(join(test.data, name), KB);
  await test.capture.base(test.tree);
  const mark = await test.mark();
  await test.capture.finish(test.tree);
  const verdicts = async () =>
    (await Array.fromAsync(checkTree(test.restored, mark.counts?.files ?? -1))).map(({ verdict }) => verdict);
  expect(await verdicts()).toEqual(["pass", "pass", "pass"]);
  const damaged = Buffer.from(KB);
  damaged[500] = 2;
  await writeFile(join(test.restored, "data", "a"), damaged);
  expect(await verdicts()).toEqual(["fail", "pass", "pass"]);
  await writeFile(join(test.restored, "data", "a"), KB);
  await rm(join(test.restored, "data", "b"));
  await writeFile(join(test.restored, "data", "c"), KB);
  expect(await verdicts()).toEqual(["fail", "fail", "pass"]);
});

it("gives each captured path a name of its own", () => {
  expect(nameRoots(["/etc/app", "/srv/uploads"]).map(({ name }) => name)).toEqual(["app", "uploads"]);
  expect(nameRoots(["/a/data", "/b/data"]).map(({ name }) => name)).toEqual(["a/data", "b/data"]);
});

it("follows a captured path that is a link, and says so when a name cannot be kept", async () => {
  await using test = await setUp();
  await writeFile(join(test.data, "a"), KB);
  const link = join(test.data, "..", "link");
  await symlink(test.data, link);
  expect(await findRoots([link])).toEqual([{ path: test.data, name: "link" }]);
  await writeFile(Buffer.concat([Buffer.from(`${test.data}/`), Buffer.from([0x66, 0xff])]), KB);
  await expect(test.capture.base(test.tree)).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    where: expect.stringContaining(test.data),
  });
});

it("without a fence is at one moment only while nothing is written", async () => {
  await using test = await setUp({ ms: 60_000 });
  for (let at = 0; at < 200; at += 1) await writeFile(join(test.data, String(at)), KB);
  await test.capture.base(test.tree);
  let writing = true;
  const written = Promise.withResolvers<void>();
  const writer = (async () => {
    for (let at = 0; writing; at += 1) {
      await writeFile(join(test.data, String(at % 200)), Buffer.alloc(1_001, at % 7));
      if (at === 50) written.resolve();
    }
  })();
  try {
    await Promise.race([written.promise, writer]);
    expect((await test.mark(false)).fuzzy).toMatch(/no fence kept quiet|while being read/);
  } finally {
    writing = false;
    await writer;
  }
  // Times of a change must lie behind before a look can trust them.
  await expect.poll(async () => (await test.mark(false)).fuzzy).toBeUndefined();
});

it("keeps nothing of a file that goes away while it is read again", async () => {
  await using home = await temporaryDirectory("files");
  const path = join(home.path, "brief");
  await writeFile(path, KB);
  const [found] = [...scan([{ path, name: "brief" }], [])];
  if (found?.type !== "file") throw new Error("the file was not found");
  const spool = openSpool(join(home.path, "spool"));
  const { signal } = new AbortController();
  // The signal is asked before each piece is read, so the file goes in the middle of the first reading.
  const removing = Object.assign(new AbortController().signal, { throwIfAborted: () => rmSync(path, { force: true }) });
  expect(await spool.keep(found, { signal: removing })).toBeUndefined();
  const sent: string[] = [];
  const tree = {
    add: async ({ path: each }: { path: string }) => ({ torn: sent.push(each) < 0 }),
    covers: async () => {},
  };
  await spool.send(tree, signal);
  expect(sent).toEqual([]);
});
