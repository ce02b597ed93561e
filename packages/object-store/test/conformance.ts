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

    it("gives back exactly the bytes of the parts, joined", async () => {
      const parts = [randomBytes(70_000), new Uint8Array(0), randomBytes(1), randomBytes(3_000_000)];
      await store.put("bytes/parts", parts);
      expect(Buffer.concat(parts).equals(await store.get("bytes/parts"))).toBe(true);
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

    it("goes on behind a name, and over more than one page", async () => {
      const names = Array.from({ length: 130 }, (_, i) => `page/${String(i).padStart(4, "0")}`);
      for (let at = 0; at < names.length; at += 50)
        await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, text("x"))));
      expect(await collect(store.list("page/"))).toEqual(names);
      expect(await collect(store.list("page/", { after: "page/0100" }))).toEqual(names.slice(101));
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
