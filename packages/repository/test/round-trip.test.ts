import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { describe, expect, it } from "vitest";
import { DEFAULT_CHUNKING } from "../src/format/documents.ts";
import { digests, file, head, type Item, NOW, namesIn, noise, open, SMALL, tarOf, trial, unpack } from "./trial.ts";

const metadata = { mode: 0o4751, uid: 3_000_000, gid: 70_000, mtimeMs: 1_700_000_000_123.5 };

/** Every kind of entry, and bodies around every length at which something changes. */
function everything(): Item[] {
  const lengths = [0, 1, 511, 512, 513, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 1_000_003];
  const none = Buffer.alloc(0);
  return [
    { entry: { type: "directory", path: "dir", ...metadata, mode: 0o750 }, body: none },
    ...lengths.map((length) => file(`content/${length}`, noise(length + 1, length))),
    ...lengths.map((length) => file(`pages/${length}`, noise(length + 2, length), "page:8192")),
    ...lengths.map((length) => file(`zeros/${length}`, Buffer.alloc(length))),
    file(`${"long/".repeat(60)}ümläut-😀`, Buffer.from("long")),
    { entry: { type: "symlink", path: "link", target: "dir/somewhere/else".repeat(9), ...metadata }, body: none },
    {
      entry: {
        type: "file",
        path: "all metadata",
        ...metadata,
        xattrs: { "user.any": Buffer.from([0, 255, 10, 61]) },
        size: 3,
        hint: "tar",
        offset: 12_345_678_901,
      },
      body: Buffer.from("abc"),
    },
    { entry: { type: "deleted", path: "dir/gone" }, body: none },
    file("content/1", Buffer.from("a later entry of the same path")),
  ];
}

describe("a backup", () => {
  it("comes back with every entry, in order, with its metadata and its bytes", async () => {
    await using setup = await trial();
    const items = everything();
    const figures = await setup.repository.writeBackup(head("one"), tarOf(items));
    const restored = await unpack(setup.repository.readBackup("one"));
    const original = await unpack(tarOf(items));
    expect(restored.map(({ entry }) => entry)).toEqual(original.map(({ entry }) => entry));
    expect(digests(restored)).toEqual(digests(original));
    expect(figures.bytes).toBe(items.reduce((sum, { body }) => sum + body.length, 0));
    expect(figures.files).toBe(items.filter(({ entry }) => entry.type === "file").length);
    expect(await setup.repository.headBackup("one")).toEqual(figures);
    expect((await Array.fromAsync(setup.repository.tree("one"))).map(({ path }) => path)).toEqual(
      original.map(({ entry }) => entry.path),
    );
    expect((await setup.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("is the same chunks in whatever pieces its tar arrived, and by however many threads", async () => {
    await using setup = await trial();
    const items = everything();
    const first = await setup.repository.writeBackup(head("whole"), tarOf(items));
    for (const pieceBytes of [511, 10_007]) {
      const again = await setup.repository.writeBackup(head(`in-${pieceBytes}`), tarOf(items, pieceBytes));
      expect(again.storedBytes).toBe(0);
      expect(again.checksum).toBe(first.checksum);
    }
    await using inline = await open(setup.store, 0);
    const again = await inline.writeBackup(head("inline"), tarOf(items));
    expect({ stored: again.storedBytes, checksum: again.checksum }).toEqual({ stored: 0, checksum: first.checksum });
    expect(digests(await unpack(inline.readBackup("whole")))).toEqual(digests(items));
  });

  it("that is larger than all buffers together comes back the same", async () => {
    await using setup = await trial(DEFAULT_CHUNKING);
    const items = [
      file("pages", noise(1, 21_000_000), "page:8192"),
      ...Array.from({ length: 1_000 }, (_, i) => file(`small/${i}`, noise(i, (i * 37) % 9_000))),
      file("content", Buffer.concat([noise(2, 13_000_001), Buffer.alloc(10_000_000, "text ")])),
    ];
    const figures = await setup.repository.writeBackup(head("large"), tarOf(items));
    expect(digests(await unpack(setup.repository.readBackup("large")))).toEqual(digests(items));
    expect(figures.storedBytes).toBeLessThan(figures.bytes * 0.95);
    const packs = await namesIn(setup.store, "packs/");
    expect(packs.length).toBeGreaterThan(2);
    expect(packs.length).toBeLessThan(12);
  });

  it("of no entry, and one of a single empty file, are backups", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("nothing"), tarOf([]));
    await setup.repository.writeBackup(head("empty"), tarOf([file("empty", Buffer.alloc(0))]));
    expect(await unpack(setup.repository.readBackup("nothing"))).toEqual([]);
    expect(await unpack(setup.repository.readBackup("empty"))).toHaveLength(1);
  });

  it("of many small files makes few objects", async () => {
    await using setup = await trial(DEFAULT_CHUNKING);
    const items = Array.from({ length: 10_000 }, (_, i) => file(`d${i % 97}/f${i}`, noise(i, 1024)));
    await setup.repository.writeBackup(head("small"), tarOf(items));
    expect((await namesIn(setup.store)).length).toBeLessThan(10);
    const one = await unpack(setup.repository.readBackup("small", { path: "d3/f100" }));
    expect(digests(one)).toEqual(digests(items.slice(100, 101)));
  });
});

describe("a part of a backup", () => {
  it("is a file, or a directory with all below it, and what was deleted above it", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(
      head("one"),
      tarOf([
        { entry: { type: "deleted", path: "a" }, body: Buffer.alloc(0) },
        file("a/b/1", noise(1, 9_000)),
        file("a/b/2", noise(2, 10)),
        file("a/bc", noise(3, 10)),
        file("other", noise(4, 50_000)),
      ]),
    );
    const paths = async (path: string) =>
      (await unpack(setup.repository.readBackup("one", { path }))).map(({ entry }) => entry.path);
    expect(await paths("a/b")).toEqual(["a", "a/b/1", "a/b/2"]);
    expect(await paths("./a/bc/")).toEqual(["a", "a/bc"]);
    expect(await paths("other")).toEqual(["other"]);
    await expect(paths("a/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(unpack(setup.repository.readBackup("two"))).rejects.toMatchObject({ code: "BACKUP_UNKNOWN" });
  });

  it("is read from its own packs alone", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await using setup = await trial(SMALL, faulty.store);
    const items = Array.from({ length: 12 }, (_, i) => file(`f${i}`, noise(i, 1_000_000)));
    await setup.repository.writeBackup(head("one"), tarOf(items));
    expect((await namesIn(setup.store, "packs/")).length).toBeGreaterThan(2);
    const before = faulty.calls("get");
    await unpack(setup.repository.readBackup("one", { path: "f5" }));
    // The manifest, the tree, and the file's pack or the two that it lies in.
    expect(faulty.calls("get") - before).toBeLessThanOrEqual(5);
  });

  it("that nobody reads to its end leaves nothing under way", async () => {
    await using setup = await trial();
    await setup.repository.writeBackup(head("one"), tarOf([file("big", noise(1, 5_000_000))]));
    for await (const bytes of setup.repository.readBackup("one")) if (bytes.length > 1024) break;
    expect(digests(await unpack(setup.repository.readBackup("one")))).toHaveLength(1);
  });
});

describe("what is stored twice", () => {
  it("is nothing when nothing changed", async () => {
    await using setup = await trial();
    const first = await setup.repository.writeBackup(head("one"), tarOf(everything()));
    const second = await setup.repository.writeBackup(head("two"), tarOf(everything()));
    expect(first.storedBytes).toBeGreaterThan(0);
    expect(second.storedBytes).toBe(0);
    expect(second.checksum).toBe(first.checksum);
  });

  it("is only what lies around a place where bytes were put in", async () => {
    await using setup = await trial();
    const body = noise(1, 4_000_000);
    await setup.repository.writeBackup(head("one"), tarOf([file("f", body)]));
    const longer = Buffer.concat([body.subarray(0, 1_500_000), Buffer.from("put in"), body.subarray(1_500_000)]);
    const second = await setup.repository.writeBackup(head("two"), tarOf([file("f", longer)]));
    expect(second.storedBytes).toBeLessThan(200_000);
  });

  it("is only the blocks whose pages changed", async () => {
    await using setup = await trial();
    const body = noise(1, 4_000_000);
    await setup.repository.writeBackup(head("one"), tarOf([file("f", body, "page:8192")]));
    const changed = Buffer.from(body);
    changed[1_000_000] = (changed[1_000_000] ?? 0) ^ 1;
    const second = await setup.repository.writeBackup(head("two"), tarOf([file("f", changed, "page:8192")]));
    expect(second.storedBytes).toBeLessThan(2 * SMALL.pageBlock);
  });

  it("is little of a set of small files when one of them changed", async () => {
    await using setup = await trial();
    const items = Array.from({ length: 2_000 }, (_, i) => file(`f${i}`, noise(i, 700)));
    const first = await setup.repository.writeBackup(head("one"), tarOf(items));
    items[1_000] = file("f1000", noise(-1, 900));
    const second = await setup.repository.writeBackup(head("two"), tarOf(items));
    expect(second.storedBytes).toBeLessThan(first.storedBytes / 8);
  });

  it("is nothing of a tar's large entries when what stands before them changed", async () => {
    await using setup = await trial();
    const segments = Array.from({ length: 6 }, (_, i) => file(`segments/${i}`, noise(i, 400_000)));
    const inner = async (items: Item[]) => Buffer.concat(await Array.fromAsync(tarOf(items)));
    const before = await inner([file("state", noise(9, 100)), ...segments]);
    const after = await inner([file("state", noise(8, 5_000)), ...segments.slice(1), ...segments.slice(0, 1)]);
    await setup.repository.writeBackup(head("one"), tarOf([file("snapshot", before, "tar")]));
    const second = await setup.repository.writeBackup(head("two"), tarOf([file("snapshot", after, "tar")]));
    expect(second.storedBytes).toBeLessThan(40_000);
    expect(digests(await unpack(setup.repository.readBackup("two")))).toEqual(digests([file("snapshot", after)]));
  });

  it("a hint that promises a tar, where there is none, changes no byte", async () => {
    await using setup = await trial();
    const body = Buffer.concat([Buffer.alloc(5_120), noise(3, 300_000)]);
    await setup.repository.writeBackup(head("one"), tarOf([file("no tar", body, "tar")]));
    expect(digests(await unpack(setup.repository.readBackup("one")))).toEqual(digests([file("no tar", body)]));
  });
});

describe("a tar that is not sound", () => {
  it("makes no backup: cut short, broken off by its sender, or leading out of its tree", async () => {
    await using setup = await trial();
    const tar = Buffer.concat(await Array.fromAsync(tarOf([file("a", noise(1, 100_000)), file("b", noise(2, 10))])));
    const pieces = async function* (bytes: Buffer) {
      for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
    };
    const write = (id: string, source: AsyncIterable<Uint8Array>) => setup.repository.writeBackup(head(id), source);
    for (const length of [tar.length - 1024, tar.length - 600, 50_000, 100, 0])
      await expect(write("cut", pieces(tar.subarray(0, length)))).rejects.toMatchObject({ code: "TAR_INVALID" });
    const broken = async function* () {
      yield* pieces(tar.subarray(0, 50_000));
      throw new Error("the agent is gone");
    };
    await expect(write("broken", broken())).rejects.toThrow("the agent is gone");
    const outside = Buffer.from(tar);
    outside.write("/etc/passwd\0", 0);
    await expect(write("outside", pieces(outside))).rejects.toMatchObject({ code: "TAR_INVALID" });
    expect(await Array.fromAsync(setup.repository.backups())).toEqual([]);
    expect((await setup.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("a backup whose signal fires ends, and is not there", async () => {
    await using setup = await trial();
    const controller = new AbortController();
    const endless = async function* () {
      for await (const piece of tarOf([file("big", noise(1, 20_000_000))])) {
        yield piece;
        if (piece.length > 0 && !controller.signal.aborted) controller.abort(new Error("cancelled"));
      }
    };
    await expect(setup.repository.writeBackup(head("one"), endless(), { signal: controller.signal })).rejects.toThrow(
      "cancelled",
    );
    expect(await setup.repository.headBackup("one")).toBeUndefined();
  });
});
