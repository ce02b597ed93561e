import { randomBytes } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectInfo, ObjectStore } from "../src/object-store.ts";

/** A storage that nobody else uses, empty at the start. */
export type StoreUnderTest = { store: ObjectStore; end: () => Promise<void> };

async function collect(listing: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of listing) names.push(name);
  return names;
}

export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "none";
  } catch (error) {
    return error instanceof StillpointError ? error.code : `not ours: ${String(error)}`;
  }
}

const text = (value: string) => Buffer.from(value, "utf8");

/** What every storage promises, whatever it is made of. */
export function conformsTo(title: string, start: () => Promise<StoreUnderTest>): void {
  describe(title, () => {
    let tested: StoreUnderTest;
    let store: ObjectStore;
    beforeAll(async () => {
      tested = await start();
      store = tested.store;
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await tested.end();
    });

    it("gives back exactly the bytes of the parts, joined, in memory that is the caller's own", async () => {
      const parts = [randomBytes(70_000), new Uint8Array(0), randomBytes(1), randomBytes(3_000_000)];
      await store.put("bytes/parts", parts);
      const got = await store.get("bytes/parts");
      expect(Buffer.concat(parts).equals(got)).toBe(true);
      // A worker is handed the memory, so that it must be this object's alone.
      expect(got.buffer.byteLength).toBe(got.length);
      expect((await store.get("bytes/parts", { offset: 70_000, length: 9 })).buffer.byteLength).toBe(9);
    });

    it("keeps an object without bytes", async () => {
      await store.put("bytes/none", new Uint8Array(0));
      expect((await store.get("bytes/none")).length).toBe(0);
      expect((await store.head("bytes/none"))?.size).toBe(0);
    });

    it("gives a range, what there is of one that passes the end, and nothing behind the end", async () => {
      await store.put("range", text("0123456789"));
      const range = async (offset: number, length: number) =>
        Buffer.from(await store.get("range", { offset, length })).toString();
      expect(await range(2, 3)).toBe("234");
      expect(await range(8, 100)).toBe("89");
      expect(await range(10, 5)).toBe("");
      expect(await range(0, 0)).toBe("");
    });

    it("lets one of many writers create a name, and refuses the others without touching what is there", async () => {
      const bodies = Array.from({ length: 8 }, (_, i) => text(`writer ${i}`));
      const codes = await Promise.all(bodies.map((body) => codeOf(store.put("race", body, { ifAbsent: true }))));
      expect(codes.filter((code) => code === "none")).toHaveLength(1);
      expect(codes.filter((code) => code === "OBJECT_EXISTS")).toHaveLength(7);
      const winner = bodies[codes.indexOf("none")];
      expect(Buffer.from(await store.get("race")).toString()).toBe(winner?.toString());
      expect(await store.createsAtomically()).toBe(true);
    });

    it("replaces an object where that is wanted", async () => {
      await store.put("replaced", text("first, and longer"));
      await store.put("replaced", text("second"));
      expect(Buffer.from(await store.get("replaced")).toString()).toBe("second");
    });

    it("lists by prefix in the order of the names' bytes, with size and the storage's time", async () => {
      const names = ["list/a/1", "list/a/2", "list/a-b", "list/a.c", "list/a0", "list/b", "listing"];
      const before = await store.now();
      for (const name of names) await store.put(name, text(name));
      expect(await collect(store.list("list/"))).toEqual([
        "list/a-b",
        "list/a.c",
        "list/a/1",
        "list/a/2",
        "list/a0",
        "list/b",
      ]);
      expect(await collect(store.list("list/a/"))).toEqual(["list/a/1", "list/a/2"]);
      expect(await collect(store.list("list/a"))).toHaveLength(5);
      expect(await collect(store.list("nothing/"))).toEqual([]);
      for await (const { name, size, modifiedMs } of store.list("list")) {
        expect(size).toBe(name.length);
        // S3 tells whole seconds.
        expect(modifiedMs).toBeGreaterThanOrEqual(before - 1000);
        expect((await store.head(name))?.modifiedMs).toBe(modifiedMs);
      }
    });

    it("goes on behind a name that is there or was, and over more than the 1 000 names of a page", async () => {
      const names = Array.from({ length: 1_030 }, (_, i) => `page/${String(i).padStart(4, "0")}`);
      for (let at = 0; at < names.length; at += 50)
        await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, text("x"))));
      expect(await collect(store.list("page/"))).toEqual(names);
      expect(await collect(store.list("page/", { after: "page/0100" }))).toEqual(names.slice(101));
      expect(await collect(store.list("page/", { after: "page/0100x" }))).toEqual(names.slice(101));
      expect(await collect(store.list("page/", { after: "page/1029" }))).toEqual([]);
    });

    it("takes every name that is one, and keeps those apart that differ in little", async () => {
      const names = ["odd/%41", "odd/A+B", "odd/a~b", "odd/a=b"];
      for (const name of names) expect(await codeOf(store.put(name, text("x")))).toBe("INVALID_REQUEST");
      const kept = [
        "odd/A",
        "odd/a",
        "odd/a.b",
        "odd/a.b.c",
        "odd/a..b",
        "odd/-",
        "odd/_",
        "odd/0",
        `odd/${"x".repeat(200)}`,
      ];
      for (const name of kept) await store.put(name, text(name));
      expect(await collect(store.list("odd/"))).toEqual(kept.toSorted());
      for (const name of kept) expect(Buffer.from(await store.get(name)).toString()).toBe(name);
    });

    it("tells the time by the clock that stamps its objects", async () => {
      const before = await store.now();
      await store.put("clock", text("x"));
      const after = await store.now();
      const stamped = (await store.head("clock"))?.modifiedMs ?? Number.NaN;
      // Some tell whole seconds, and a server may write its Date once a second for all its answers.
      expect(stamped).toBeGreaterThan(before - 2000);
      expect(stamped).toBeLessThan(after + 2000);
    });

    it("refuses a lock and a class that it does not have, and stores nothing then", async () => {
      if (store.locks === undefined)
        expect(await codeOf(store.put("refused", text("x"), { retainUntilMs: 1 }))).toBe("STORE_UNSUPPORTED");
      if (store.classes === undefined)
        expect(await codeOf(store.put("refused", text("x"), { storageClass: "archive" }))).toBe("STORE_UNSUPPORTED");
      expect(await store.head("refused")).toBeUndefined();
      await store.put("standard", text("x"), { storageClass: "standard" });
      expect((await store.head("standard"))?.storageClass ?? "standard").toBe("standard");
    });

    it("does not list what is deleted, and deleting twice is no error", async () => {
      await store.put("gone/one", text("x"));
      await store.delete("gone/one");
      await store.delete("gone/one");
      expect(await collect(store.list("gone/"))).toEqual([]);
      expect(await store.head("gone/one")).toBeUndefined();
    });

    it("says that an object is missing, by name", async () => {
      await expect(store.get("missing/one")).rejects.toMatchObject({ code: "OBJECT_MISSING", where: "missing/one" });
      expect(await store.head("missing/one")).toBeUndefined();
    });

    it("refuses names that would lead elsewhere", async () => {
      for (const name of ["", "/a", "a//b", "../a", "a/../b", ".hidden", "a/", "a b", "ä", "a\0b"])
        expect(await codeOf(store.put(name, text("x")))).toBe("INVALID_REQUEST");
    });

    it("ends a call whose signal has fired", async () => {
      const signal = AbortSignal.abort(new Error("enough"));
      expect(await codeOf(store.put("aborted", text("x"), { signal }))).not.toBe("none");
      expect(await codeOf(store.get("range", undefined, signal))).not.toBe("none");
      expect(await store.head("aborted")).toBeUndefined();
    });
  });
}
