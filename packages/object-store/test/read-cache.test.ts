import { readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import { withFaults } from "../src/faults.ts";
import { memoryStore } from "../src/memory.ts";
import { withReadCache } from "../src/read-cache.ts";
import { conformsTo } from "./conformance.ts";

async function cached(capBytes = 1_000_000) {
  const directory = await temporaryDirectory("cache");
  const faulty = withFaults(memoryStore(Date.now));
  const failures: unknown[] = [];
  const options = { directory: directory.path, capBytes, failed: (error: unknown) => failures.push(error) };
  const open = () => withReadCache(faulty.store, options);
  const [store, calls] = [await open(), () => faulty.calls("get")];
  return {
    store,
    open,
    calls,
    faulty,
    failures,
    path: directory.path,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
const textOf = async (bytes: Promise<Uint8Array>) => Buffer.from(await bytes).toString();

conformsTo("memory behind a read cache", async () => {
  const directory = await temporaryDirectory("cache");
  const options = { directory: directory.path, capBytes: 1e9 };
  return {
    store: await withReadCache(memoryStore(Date.now), options),
    end: async () => directory[Symbol.asyncDispose](),
  };
});

describe("a read cache", () => {
  it("asks once for an object that never changes, also after a restart, and always for others", async () => {
    await using test = await cached();
    await test.store.put("index/a", Buffer.from("abc"));
    await test.store.put("leases/a", Buffer.from("one"));
    expect(await textOf(test.store.get("index/a"))).toBe("abc");
    expect(await textOf(test.store.get("index/a"))).toBe("abc");
    const restarted = await test.open();
    expect(await textOf(restarted.get("index/a", { offset: 1, length: 100 }))).toBe("bc");
    expect(test.calls()).toBe(1);
    await test.store.get("leases/a");
    await test.store.put("leases/a", Buffer.from("two"));
    expect(await textOf(test.store.get("leases/a"))).toBe("two");
    expect(test.failures).toEqual([]);
  });

  it("keeps nothing of an object that was read in part", async () => {
    await using test = await cached();
    await test.store.put("index/a", Buffer.from("abc"));
    expect(await textOf(test.store.get("index/a", { offset: 0, length: 2 }))).toBe("ab");
    expect(await readdir(test.path)).toEqual([]);
    expect(await textOf(test.store.get("index/a"))).toBe("abc");
  });

  it("gives out no entry that was cut off, flipped or left half written", async () => {
    await using test = await cached();
    await test.store.put("index/a", Buffer.from("abcdef"));
    for (const damage of [
      (path: string) => truncate(path, 7),
      (path: string) => truncate(path, 0),
      async (path: string) => {
        const bytes = await readFile(path);
        bytes[6] = (bytes[6] ?? 0) ^ 1;
        await writeFile(path, bytes);
      },
    ]) {
      expect(await textOf(test.store.get("index/a"))).toBe("abcdef");
      const [entry = ""] = await readdir(test.path);
      await damage(join(test.path, entry));
      const before = test.calls();
      expect(await textOf(test.store.get("index/a"))).toBe("abcdef");
      expect(test.calls()).toBe(before + 1);
    }
    await writeFile(join(test.path, `${"0".repeat(64)}.x.new`), "half");
    await test.open();
    expect((await readdir(test.path)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("stays within its bytes, and what was read last stays longest, over a restart too", async () => {
    await using test = await cached(3 * 104);
    for (const name of ["a", "b", "c"]) {
      await test.store.put(`index/${name}`, Buffer.alloc(100, name));
      await test.store.get(`index/${name}`);
    }
    // The times of files tell the order to the next process; here they would be too close to tell.
    const old = Date.now() / 1000 - 100;
    for (const entry of await readdir(test.path)) await utimes(join(test.path, entry), old, old);
    await test.store.get("index/a");
    const restarted = await test.open();
    await restarted.put("index/d", Buffer.alloc(100, "d"));
    await restarted.get("index/d");
    const entries = await readdir(test.path);
    expect(entries).toHaveLength(3);
    const sizes = await Promise.all(entries.map(async (entry) => (await stat(join(test.path, entry))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(3 * 104);
    const before = test.calls();
    await restarted.get("index/a");
    expect(test.calls()).toBe(before);
    await restarted.put("index/large", Buffer.alloc(1_000));
    expect((await restarted.get("index/large")).length).toBe(1_000);
    expect(await readdir(test.path)).toHaveLength(3);
  });

  it("forgets what is deleted through it", async () => {
    await using test = await cached();
    await test.store.put("index/a", Buffer.from("abc"));
    await test.store.get("index/a");
    await test.store.delete("index/a");
    await expect(test.store.get("index/a")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
  });

  it("whose directory is gone fails no read, and says so", async () => {
    await using test = await cached();
    await test.store.put("index/a", Buffer.from("abc"));
    await rm(test.path, { recursive: true });
    expect(await textOf(test.store.get("index/a"))).toBe("abc");
    expect(test.failures).toHaveLength(1);
  });
});
