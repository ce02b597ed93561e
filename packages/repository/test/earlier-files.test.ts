import { encodeBodiless } from "@stillpoint/driver/bodiless";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { BodilessEntry } from "@stillpoint/driver/tree";
import { describe, expect, it } from "vitest";
import { openRepository } from "../src/repository.ts";
import { BY, DAY, garbageTrial, LEASE_MS, SETTINGS, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { digests, file, head, type Item, NOW, namesIn, noise, PASSPHRASE, tarOf, trial, unpack } from "./trial.ts";

/** Small ones that are bundled, large ones of many chunks, an empty one; each known by its own state. */
function known(count: number): Item[] {
  return Array.from({ length: count }, (_, i) => {
    const size = i % 7 === 0 ? 0 : i % 5 === 0 ? 150_000 : 900;
    const { entry, body } = file(`data/${String(i).padStart(4, "0")}-ü`, noise(i, size));
    return { entry: { ...entry, identity: `state ${i}` }, body } as Item;
  });
}

function unchanged({ entry }: Item): BodilessEntry {
  if (entry.type !== "file" || entry.identity === undefined) throw new Error("not a known file");
  const { path, size, mtimeMs, identity } = entry;
  return { type: "unchanged", path, size, mtimeMs, identity };
}

/** A tar of files that come, and runs of files that are taken over. */
async function* tarWith(parts: readonly (Item | BodilessEntry[])[]): AsyncGenerator<Uint8Array> {
  const writer = createTarWriter();
  const write = async () => {
    for (const part of parts) {
      if (Array.isArray(part)) await writer.addBodiless?.(part);
      else await writer.add(part.entry, [part.body] as unknown as AsyncIterable<Uint8Array>); // for await takes both
    }
    writer.end();
  };
  write().catch((error: unknown) => writer.fail(error));
  yield* writer.stream;
}

describe("files of an earlier backup", () => {
  it("are in the new one byte for byte, though none of their bytes came, and nothing of them is stored again", async () => {
    await using test = await trial();
    const items = known(400);
    await test.repository.writeBackup(head("b1"), tarOf(items));
    const fresh = file("data/0200-a", noise(9_999, 30_000));
    const at = 200;
    const gone = 3;
    const parts = [
      [
        { type: "directory", path: "data", mode: 0o755, mtimeMs: 5, xattrs: { "user.a": Buffer.from([1, 255]) } },
        { type: "symlink", path: "data/0000-link", mode: 0o777, mtimeMs: 6, target: "0001-ü" },
      ] satisfies BodilessEntry[],
      items.slice(gone, at).map(unchanged),
      fresh,
      items.slice(at + 1).map(unchanged),
    ];
    const figures = await test.repository.writeBackup(head("b2"), tarWith(parts), { earlier: "b1" });
    const expected = [...items.slice(gone, at), fresh, ...items.slice(at + 1)];
    expect(figures).toMatchObject({
      files: expected.length,
      bytes: expected.reduce((sum, { body }) => sum + body.length, 0),
    });
    expect(figures.storedBytes).toBeLessThan(60_000);
    const restored = await unpack(test.repository.readBackup("b2"));
    expect(digests(restored)).toEqual(digests(expected));
    expect(restored[0]?.entry).toMatchObject({ xattrs: { "user.a": Buffer.from([1, 255]) } });
    expect(restored[1]?.entry).toMatchObject({ type: "symlink", target: "0001-ü" });
    expect((await test.repository.check({ readData: true })).problems).toEqual([]);
  });

  it("leave an unchanged tree unchanged: the same chunks, and nothing stored", async () => {
    await using test = await trial();
    const items = known(3_000).map((item) => ({ ...item, body: item.body.subarray(0, 400) }));
    for (const { entry, body } of items) if (entry.type === "file") entry.size = body.length;
    const first = await test.repository.writeBackup(head("b1"), tarOf(items));
    const second = await test.repository.writeBackup(head("b2"), tarWith([items.map(unchanged)]), { earlier: "b1" });
    expect(second).toMatchObject({ checksum: first.checksum, storedBytes: 0, bytes: first.bytes, files: first.files });
  });

  it.each([
    ["another size", { size: 901 }],
    ["another time", { mtimeMs: 1_700_000_000_001 }],
    ["another state", { identity: "else" }],
    ["a path that it has not", { path: "data/zzz" }],
  ])("are refused with %s, and nothing is left behind", async (_, other) => {
    await using test = await trial();
    const items = known(20);
    await test.repository.writeBackup(head("b1"), tarOf(items));
    const asked = items.map(unchanged);
    Object.assign(asked[1] ?? {}, other);
    const write = test.repository.writeBackup(head("b2"), tarWith([asked]), { earlier: "b1" });
    await expect(write).rejects.toMatchObject({ code: "BASE_GONE" });
    expect(await test.repository.headBackup("b2")).toBeUndefined();
  });

  it("are refused where the backup is gone, none was named, or one that was torn counts last", async () => {
    await using test = await trial();
    const items = known(3);
    const [, torn] = items;
    if (torn === undefined) throw new Error("unreachable");
    await test.repository.writeBackup(head("b1"), tarOf([...items.slice(0, 1), torn, { ...torn, body: noise(1, 10) }]));
    for (const earlier of ["b0", undefined, "b1"])
      await expect(
        test.repository.writeBackup(head("b2"), tarWith([[unchanged(torn)]]), { earlier }),
      ).rejects.toMatchObject({ code: "BASE_GONE" });
  });

  it("are told in lines, one for each whatever its name, and no path leads out", () => {
    const lines = encodeBodiless([{ type: "unchanged", path: "a\nb", size: 1, mtimeMs: 2, identity: "3" }]);
    expect(lines.toString().split("\n")).toHaveLength(2);
    expect(() => encodeBodiless([{ type: "unchanged", path: "../x", size: 1, mtimeMs: 2, identity: "3" }])).toThrow();
  });
});

describe("beside the collector", () => {
  const settings = { settings: SETTINGS };

  /** A point that is deleted, which a collection condemns when it is let. */
  async function deletedPoint(items: readonly Item[]) {
    const test = await garbageTrial();
    await test.point(1, items);
    test.clock.pass(2 * DAY);
    await test.repository.deletePoint(trialId(1), BY);
    test.clock.pass(DAY);
    return { test, condemn: () => test.repository.collectGarbage(settings).then(() => undefined) };
  }

  it("a backup that is condemned is none to take files from", async () => {
    const items = known(30);
    const { test, condemn } = await deletedPoint(items);
    await using _ = test;
    await condemn();
    const write = test.repository.writeBackup(head("b2"), tarWith([items.map(unchanged)]), { earlier: "b1" });
    await expect(write).rejects.toMatchObject({ code: "BASE_GONE" });
  });

  it.each(["before the first file is taken", "between two files", "after the last"] as const)(
    "what is condemned %s is copied before the manifest, and outlives the sweep",
    async (when) => {
      const items = known(60);
      const { test, condemn } = await deletedPoint(items);
      await using _ = test;
      const part = when === "after the last" ? 60 : when === "between two files" ? 30 : 0;
      const tar = async function* () {
        let pieces = 0;
        const parts = [
          items.slice(0, part).map(unchanged),
          file("x", noise(77, 400_000)),
          items.slice(part).map(unchanged),
        ];
        for await (const bytes of tarWith(parts)) {
          yield bytes;
          if (++pieces === 2) await condemn();
        }
      };
      await test.repository.writeBackup(head("b2"), tar(), { earlier: "b1" });
      await test.repository.sealPoint(pointOf(2, ["b2"]));
      await test.collectAll();
      expect(await test.repository.headBackup("b1")).toBeUndefined();
      const expected = [...items.slice(0, part), file("x", noise(77, 400_000)), ...items.slice(part)];
      expect(digests(await unpack(test.repository.readBackup("b2")))).toEqual(digests(expected));
      expect((await test.repository.check({ readData: true })).problems).toEqual([]);
    },
  );

  it("what is condemned while the lease goes on to name it is copied before it is swept", async () => {
    const items = known(60);
    const { test } = await deletedPoint(items);
    await using _ = test;
    const graceMs = 60_000;
    const collect = () => test.repository.collectGarbage({ settings: { ...SETTINGS, graceMs } });
    const packsBefore = await namesIn(test.store, "packs/");
    const swept: string[][] = [];
    let ms = 0;
    // The writer finds at every flush that its lease is due, and is held up before its manifest until the grace is over.
    const slow = await openRepository(
      {
        ...test.store,
        async put(name, body, options) {
          if (name.startsWith("backups/")) {
            test.clock.pass(graceMs + 1);
            await collect();
            swept.push(packsBefore.filter((each) => !test.objects.has(each)));
          }
          await test.store.put(name, body, options);
        },
      },
      { passphrase: PASSPHRASE, threads: 0, now: () => NOW, leaseMs: LEASE_MS, monotonicMs: () => (ms += LEASE_MS) },
    );
    await using __ = slow;
    const tar = async function* () {
      let pieces = 0;
      const last = file("z", noise(77, 400_000));
      for await (const bytes of tarWith([items.map(unchanged), last])) {
        yield bytes;
        if (++pieces === 2) await collect();
      }
    };
    await slow.writeBackup(head("b2"), tar(), { earlier: "b1" });
    expect(swept.flat()).not.toEqual([]);
    await test.repository.sealPoint(pointOf(2, ["b2"]));
    const expected = [...items, file("z", noise(77, 400_000))];
    expect(digests(await unpack(test.repository.readBackup("b2")))).toEqual(digests(expected));
  });
});
