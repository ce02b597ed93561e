import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { directoryTree } from "../src/directory-tree.ts";
import { extractTar, listTar } from "../src/extract.ts";
import { applyLayout, treeFiles } from "../src/layout.ts";
import type { TarHeader } from "../src/tar-entry.ts";
import { readTar } from "../src/tar-reader.ts";
import { createTarWriter } from "../src/tar-writer.ts";
import type { TreeEntry, TreeWriter } from "../src/tree.ts";

let root: string;
let destination: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sp-tar-"));
  destination = join(root, "destination");
  await mkdir(destination);
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const common = { mode: 0o640, mtimeMs: 1_700_000_000_123 };
function file(path: string, size: number, more: { offset?: number } = {}): TreeEntry {
  return { type: "file", path, size, hint: "content", ...common, ...more };
}
async function* body(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}
function tarOf(fill: (tree: TreeWriter) => Promise<unknown>): AsyncIterable<Uint8Array> {
  const writer = createTarWriter();
  fill(writer).then(
    () => writer.end(),
    (error: unknown) => writer.fail(error),
  );
  return writer.stream;
}
async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}
function foreignTar(...entries: { header: Partial<TarHeader> & { name: string }; content?: string }[]) {
  const tar = pack();
  for (const { header, content } of entries) tar.entry(header, content ?? "");
  tar.finalize();
  return tar as AsyncIterable<Uint8Array>;
}
const read = async (path: string) => await readFile(join(destination, path), "utf8");

describe("a backup's tar", () => {
  test("brings back files, directories, links, modes and times", async () => {
    const long = `${"deep/".repeat(40)}ünïcode\nname`;
    const figures = await extractTar(
      tarOf(async (tree) => {
        await tree.add({ type: "directory", path: "closed", mode: 0o500, mtimeMs: 1_600_000_000_000 });
        await tree.add(file("closed/a", 5), body("he", "llo"));
        await tree.add({ type: "symlink", path: "link", target: "/etc/passwd", ...common });
        await tree.add(file(long, 3), body("abc"));
        await tree.add({ ...file("none", 0), mode: 0 } as TreeEntry);
      }),
      destination,
    );
    expect(figures).toEqual({ files: 3, directories: 1, symlinks: 1, deleted: 0, bytes: 8, torn: [] });
    expect(await read("closed/a")).toBe("hello");
    expect(await read(long)).toBe("abc");
    expect(await readlink(join(destination, "link"))).toBe("/etc/passwd");
    const [directory, inner, none] = await Promise.all(
      ["closed", "closed/a", "none"].map((path) => stat(join(destination, path))),
    );
    expect([directory?.mode, inner?.mode, none?.mode].map((mode) => (mode ?? 0) & 0o7777)).toEqual([0o500, 0o640, 0]);
    expect([directory?.mtimeMs, inner?.mtimeMs].map((time) => Math.round(time ?? 0))).toEqual([
      1_600_000_000_000, 1_700_000_000_123,
    ]);
  });

  test("is read by GNU tar", async () => {
    const tar = await bytesOf(
      tarOf(async (tree) => tree.add(file(`${"x".repeat(90)}/${"y".repeat(90)}`, 3), body("abc"))),
    );
    await writeFile(join(root, "t.tar"), tar);
    const { stdout } = await promisify(execFile)("tar", ["-xvf", join(root, "t.tar"), "-C", destination]);
    expect(stdout.trim()).toBe(`${"x".repeat(90)}/${"y".repeat(90)}`);
    expect(await read(stdout.trim())).toBe("abc");
  });

  test("a body that ends early is padded and named, and one sent again takes its place", async () => {
    const torn: boolean[] = [];
    const write = (entries: [TreeEntry, AsyncIterable<Uint8Array>][]) =>
      tarOf(async (tree) => {
        for (const [entry, content] of entries) torn.push((await tree.add(entry, content)).torn);
      });
    const once = await extractTar(write([[file("a", 1000), body("short")]]), destination);
    expect(once.torn).toEqual(["a"]);
    expect(await read("a")).toBe("short".padEnd(1000, "\0"));
    const again = await extractTar(
      write([
        [file("a", 3), body("longer")],
        [file("a", 6), body("longer")],
      ]),
      destination,
    );
    expect(again.torn).toEqual([]);
    expect(await read("a")).toBe("longer");
    expect(torn).toEqual([true, true, false]);
  });

  test("a later backup adds to files, replaces and deletes", async () => {
    const base = tarOf(async (tree) => {
      await tree.add(file("log", 6), body("012345"));
      await tree.add(file("dir/a", 1), body("a"));
      await tree.add(file("b", 1), body("b"));
    });
    const next = tarOf(async (tree) => {
      await tree.add(file("log", 4, { offset: 4 }), body("abcd"));
      await tree.add({ type: "deleted", path: "dir" });
      await tree.add(file("b/c", 1), body("c")).catch(() => undefined);
    });
    await extractTar(base, destination);
    await expect(extractTar(next, destination)).rejects.toMatchObject({ code: "PATH_UNSAFE" });
    expect(await read("log")).toBe("0123abcd");
    expect((await treeFiles(destination)).map((each) => each.path)).toEqual(["b", "log"]);
  });

  test("which stretch of the log a backup holds is read from its tar, and is no file of its tree", async () => {
    const range = { stream: "00000002", from: "0000000001000000", to: "0000000002000000" };
    const after = { stream: "00000001", at: "0000000001000000" };
    const make = () =>
      tarOf(async (tree) => {
        await tree.covers(range);
        await tree.add(file("a", 1), body("a"));
        await tree.covers({ ...range, after });
      });
    const said: unknown[] = [];
    for await (const { entry } of readTar(make())) if (entry.type === "log") said.push(entry.range);
    expect(said).toEqual([range, { ...range, after }]);
    expect(await extractTar(make(), destination, { path: "a" })).toMatchObject({ files: 1 });
    expect((await treeFiles(destination)).map((each) => each.path)).toEqual(["a"]);
    const spoilt = Buffer.from((await bytesOf(make())).toString("latin1").replace('"from"', '"form"'), "latin1");
    const read = Array.fromAsync(readTar(body(spoilt)));
    await expect(read).rejects.toMatchObject({ code: "TAR_INVALID", where: ".stillpoint/log" });
  });

  test("a tar that failed before it was read says so to its reader", async () => {
    const writer = createTarWriter();
    writer.fail(new Error("the source went away"));
    await expect(bytesOf(writer.stream)).rejects.toThrow("the source went away");
  });

  test("a part whose earlier bytes are not there is refused", async () => {
    const tar = tarOf(async (tree) => tree.add(file("log", 4, { offset: 10 }), body("abcd")));
    await expect(extractTar(tar, destination)).rejects.toMatchObject({ code: "TAR_INVALID" });
  });

  test("only the subtree that was asked for is extracted, also when something above it went", async () => {
    const make = () =>
      tarOf(async (tree) => {
        await tree.add(file("a/b/c", 1), body("1"));
        await tree.add(file("a/bc", 1), body("2"));
        await tree.add({ type: "deleted", path: "a" });
        await tree.add(file("a/b/d", 1), body("3"));
      });
    await extractTar(make(), destination, { path: "a/b" });
    expect((await treeFiles(destination)).map((each) => each.path)).toEqual(["a/b/d"]);
    const listed: string[] = [];
    await listTar(make(), (entry) => listed.push(`${entry.type} ${entry.path}`));
    expect(listed).toEqual(["file a/b/c", "file a/bc", "deleted a", "file a/b/d"]);
  });

  test("a tar cut at any place is refused", async () => {
    const tar = await bytesOf(
      tarOf(async (tree) => {
        await tree.add(file("a", 2048), body(Buffer.alloc(2048)));
        await tree.add(file("b", 10), body("0123456789"));
      }),
    );
    for (let length = 0; length < tar.length; length += 256) {
      const cut = body(tar.subarray(0, length));
      await expect(listTar(cut), `cut at ${length}`).rejects.toMatchObject({ code: "TAR_INVALID" });
    }
    expect((await listTar(body(tar))).files).toBe(2);
  });

  test("an error of the body reaches both ends, and the tar never ends well", async () => {
    const lost = new Error("the disk went away");
    const writer = createTarWriter();
    const added = writer.add(
      file("a", 10),
      (async function* () {
        yield Buffer.from("abc");
        throw lost;
      })(),
    );
    const consumed = bytesOf(writer.stream);
    await expect(added).rejects.toMatchObject({ cause: lost });
    await expect(consumed).rejects.toMatchObject({ cause: lost });
  });

  test("a producer waits for its consumer, and hears when it went away", async () => {
    const writer = createTarWriter();
    let produced = 0;
    const added = writer.add(
      file("a", 64 << 20),
      (async function* () {
        for (; produced < 1024; produced += 1) yield Buffer.alloc(64 << 10);
      })(),
    );
    for await (const _ of writer.stream) break;
    await expect(added).rejects.toThrow();
    expect(produced).toBeLessThan(64);
  });
});

describe("a hostile tar", () => {
  const outside = () => join(root, "outside");
  beforeEach(async () => {
    await mkdir(outside());
    await writeFile(join(outside(), "precious"), "untouched");
  });
  const entries: Record<string, Parameters<typeof foreignTar>> = {
    "an absolute path": [{ header: { name: "/etc/sp-hostile" }, content: "x" }],
    "a path with ..": [{ header: { name: "a/../../outside/precious" }, content: "x" }],
    "a path with a dot": [{ header: { name: "./a" }, content: "x" }],
    "a file through a symbolic link of its own": [
      { header: { name: "l", type: "symlink", linkname: "../outside" } },
      { header: { name: "l/precious" }, content: "x" },
    ],
    "a deletion's path through a symbolic link": [
      { header: { name: "l", type: "symlink", linkname: "../outside" } },
      { header: { name: "l/precious", pax: { "STILLPOINT.deleted": "1" } } },
    ],
    "a part written through a symbolic link": [
      { header: { name: "l", type: "symlink", linkname: "../outside/precious" } },
      { header: { name: "l", pax: { "STILLPOINT.offset": "2" } }, content: "x" },
    ],
    "a hard link": [{ header: { name: "h", type: "link", linkname: "/etc/passwd" } }],
    "a device": [{ header: { name: "d", type: "character-device" } }],
    "a pipe": [{ header: { name: "p", type: "fifo" } }],
  };
  for (const [what, given] of Object.entries(entries)) {
    test(`${what} is refused and nothing outside is touched`, async () => {
      const error = await extractTar(foreignTar(...given), destination).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: what.startsWith("a part") ? "TAR_INVALID" : "PATH_UNSAFE" });
      expect(await readdir(outside())).toEqual(["precious"]);
      expect(await readFile(join(outside(), "precious"), "utf8")).toBe("untouched");
    });
  }

  test("a file takes the place of a symbolic link instead of following it", async () => {
    await symlink(join(outside(), "precious"), join(destination, "a"));
    await extractTar(
      tarOf(async (tree) => tree.add(file("a", 3), body("new"))),
      destination,
    );
    expect(await read("a")).toBe("new");
    expect(await readFile(join(outside(), "precious"), "utf8")).toBe("untouched");
  });
});

describe("layout", () => {
  test("done twice it is the same as once", async () => {
    const tree = directoryTree(destination);
    await tree.add(file("a/wal", 10), body("0123456789"));
    await tree.add(file("a/old", 1), body("x"));
    await tree.finish();
    const steps = [
      { do: "truncate", path: "a/wal", size: 4 },
      { do: "move", from: "a/wal", to: "b/wal" },
      { do: "remove", path: "a/old" },
      { do: "write", path: "c/settings", content: "on", mode: 0o600 },
      { do: "directory", path: "d/e", mode: 0o700 },
    ] as const;
    for (const _ of [1, 2]) {
      await applyLayout(destination, steps.slice(1));
      expect(await treeFiles(destination)).toEqual([
        { path: "b/wal", size: 10 },
        { path: "c/settings", size: 2 },
      ]);
    }
    await applyLayout(destination, [{ do: "truncate", path: "b/wal", size: 4 }]);
    expect(await read("b/wal")).toBe("0123");
  });

  test("a step that leads out is refused", async () => {
    await symlink(root, join(destination, "l"));
    for (const path of ["../x", "/x", "l/x"]) {
      await expect(applyLayout(destination, [{ do: "write", path, content: "", mode: 0o600 }])).rejects.toMatchObject({
        code: "PATH_UNSAFE",
      });
    }
  });
});
