import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Repository } from "../src/repository.ts";
import { digests, file, head, NOW, namesIn, noise, open, tarOf, trial, unpack } from "./trial.ts";

type Objects = Map<string, { bytes: Uint8Array; modifiedMs: number }>;

const items = [
  file("pages", noise(1, 900_000), "page:8192"),
  file("text", Buffer.alloc(700_000, "compressible ")),
  file("content", noise(2, 2_000_000)),
];

describe("an object that is not what was written", () => {
  let sound: Objects;
  beforeAll(async () => {
    sound = new Map();
    await using setup = await trial(
      undefined,
      memoryStore(() => NOW, sound),
    );
    await setup.repository.writeBackup(head("one"), tarOf(items));
  });

  /** A copy of the repository, to be damaged. */
  function copy(): { objects: Objects; store: ObjectStore } {
    const objects: Objects = new Map(
      [...sound].map(([name, { bytes }]) => [name, { bytes: bytes.slice(), modifiedMs: NOW }]),
    );
    return { objects, store: memoryStore(() => NOW, objects) };
  }
  const names = (prefix: string) => [...sound.keys()].filter((name) => name.startsWith(prefix));
  const flip = (objects: Objects, name: string, at: number) => {
    const bytes = objects.get(name)?.bytes;
    if (bytes === undefined) throw new Error(`no ${name}`);
    const index = at < 0 ? bytes.length + at : at;
    bytes[index] = (bytes[index] ?? 0) ^ 0x40;
  };

  /** Everything that can be read, and the error that ended it. */
  async function readAll(repository: Repository): Promise<{ bytes: Buffer; error: unknown }> {
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of repository.readBackup("one")) pieces.push(Uint8Array.from(piece));
      return { bytes: Buffer.concat(pieces), error: undefined };
    } catch (error) {
      return { bytes: Buffer.concat(pieces), error };
    }
  }

  it("flipped byte by byte anywhere in a pack: it is named, and nothing wrong is given out", async () => {
    const whole = Buffer.concat(await Array.fromAsync(openAndRead(copy().store)));
    let met = 0;
    for (const pack of names("packs/")) {
      const length = sound.get(pack)?.bytes.length ?? 0;
      for (const at of [0, 5, 20, 44, 50, Math.floor(length / 2), Math.floor(length * 0.9)]) {
        const { objects, store } = copy();
        flip(objects, pack, at);
        await using repository = await open(store, 1);
        const { bytes, error } = await readAll(repository);
        const report = await repository.check({ readData: true });
        expect(report.problems.map(({ object }) => object)).toContain(pack);
        // Not everything in a pack is needed to read a backup: its header and trailer are not.
        if (error === undefined) expect(bytes.equals(whole)).toBe(true);
        else expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: pack });
        expect(whole.subarray(0, bytes.length).equals(bytes)).toBe(true);
        if (error !== undefined) met++;
      }
    }
    expect(met).toBeGreaterThan(names("packs/").length);
  });

  async function* openAndRead(store: ObjectStore) {
    await using repository = await open(store, 1);
    yield* repository.readBackup("one");
  }

  it("a pack that is cut short, or gone, is named, with the backups that it hurts", async () => {
    const [pack = ""] = names("packs/");
    for (const damage of ["cut", "gone"]) {
      const { objects, store } = copy();
      const bytes = objects.get(pack)?.bytes ?? new Uint8Array(0);
      if (damage === "cut") objects.set(pack, { bytes: bytes.slice(0, bytes.length - 100_000), modifiedMs: NOW });
      else objects.delete(pack);
      await using repository = await open(store, 1);
      const { error } = await readAll(repository);
      expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: pack });
      const { problems } = await repository.check();
      expect(problems.map(({ object }) => object)).toEqual([pack]);
      expect(problems[0]?.backups).toEqual(["one"]);
    }
  });

  it("a pack under another's name is refused", async () => {
    const { objects, store } = copy();
    // How many packs a backup makes depends on its threads' timing: another backup is sure to make another one.
    await using writer = await open(store, 1);
    await writer.writeBackup(head("two"), tarOf([file("other", noise(9, 5_000))]));
    const first = [...objects.keys()].find((name) => name.startsWith("packs/") && !sound.has(name)) ?? "";
    const [second = ""] = names("packs/");
    const bytes = objects.get(first)?.bytes ?? new Uint8Array(0);
    objects.set(second, { bytes, modifiedMs: NOW });
    await using repository = await open(store, 1);
    const { error } = await readAll(repository);
    expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: second });
  });

  it("a manifest: flipped, cut, or under another's name", async () => {
    const object = "backups/one";
    for (const at of [0, 4, 5, 9, 30, 60, -1]) {
      const { objects, store } = copy();
      flip(objects, object, at);
      await using repository = await open(store, 1);
      const { bytes, error } = await readAll(repository);
      // A number that is not known may be that of a newer format; of an epoch that was begun since, it is looked for.
      const code = at === 4 ? "FORMAT_UNKNOWN" : "OBJECT_DAMAGED";
      expect(error).toMatchObject({ code, where: object });
      expect(bytes.length).toBe(0);
    }
    const { objects, store } = copy();
    objects.set("backups/two", { bytes: objects.get(object)?.bytes ?? new Uint8Array(0), modifiedMs: NOW });
    await using repository = await open(store, 1);
    await expect(repository.headBackup("two")).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: "backups/two" });
    objects.set(object, { bytes: (objects.get(object)?.bytes ?? new Uint8Array(0)).slice(0, 30), modifiedMs: NOW });
    await expect(repository.headBackup("one")).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: object });
  });

  it("an index: reading names it, and check names it with the backup that it hurts", async () => {
    const [index = ""] = names("index/");
    for (const at of [8, 100, -1]) {
      const { objects, store } = copy();
      flip(objects, index, at);
      await using repository = await open(store, 1);
      const { bytes, error } = await readAll(repository);
      expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: index });
      expect(bytes.length).toBe(0);
      expect((await repository.check()).problems).toContainEqual(
        expect.objectContaining({ object: index, backups: ["one"] }),
      );
    }
  });

  it("an index that is gone: the backup names it by its chunks, and check finds the packs unlisted", async () => {
    const [index = ""] = names("index/");
    const { objects, store } = copy();
    objects.delete(index);
    await using repository = await open(store, 1);
    const { bytes, error } = await readAll(repository);
    expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: "backups/one" });
    expect(bytes.length).toBe(0);
    const report = await repository.check();
    expect(report.unlistedPacks).toBe(names("packs/").length);
    expect(report.problems.map(({ object }) => object)).toContain("backups/one");
  });

  it("is not there in a sound repository: check finds nothing, and reads every pack to its last byte", async () => {
    const { store } = copy();
    await using repository = await open(store, 1);
    const report = await repository.check({ readData: true });
    expect(report).toMatchObject({ problems: [], backups: 1, unlistedPacks: 0 });
    expect(report.readBytes).toBe(names("packs/").reduce((sum, name) => sum + (sound.get(name)?.bytes.length ?? 0), 0));
    expect(digests(await unpack(repository.readBackup("one")))).toEqual(digests(items));
    expect(await namesIn(store)).toEqual([...sound.keys()].sort());
  });
  afterAll(() => sound.clear());
});
