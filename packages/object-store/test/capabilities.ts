import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../src/object-store.ts";
import { codeOf } from "./conformance.ts";

const DAY_MS = 86_400_000;

/** What a storage with object lock promises. `release` frees what the tests left locked, where that can be done. */
export function locksObjects(title: string, open: () => Promise<ObjectStore>): void {
  describe(title, () => {
    it("keeps a locked object whoever deletes it, says that it is retained, and tells until when", async () => {
      await using store = await open();
      const locks = store.locks;
      if (locks === undefined) throw new Error("no locks");
      expect(await locks.available()).toBe(true);
      const until = Math.ceil((await store.now()) / 1000) * 1000 + DAY_MS;
      await store.put("locked/a", Buffer.from("x"), { ifAbsent: true, retainUntilMs: until });
      expect(await codeOf(store.delete("locked/a"))).toBe("OBJECT_RETAINED");
      expect(await locks.state("locked/a")).toEqual({ retainedUntilMs: until, legalHold: false });
      expect(Buffer.from(await store.get("locked/a")).toString()).toBe("x");

      await locks.extend("locked/a", until + DAY_MS);
      await locks.extend("locked/a", until);
      expect((await locks.state("locked/a")).retainedUntilMs).toBe(until + DAY_MS);
    });

    it("keeps an object under a legal hold, and lets it go afterwards", async () => {
      await using store = await open();
      await store.put("held/a", Buffer.from("x"), { ifAbsent: true });
      await store.locks?.setLegalHold("held/a", true);
      await store.locks?.setLegalHold("held/a", true);
      expect((await store.locks?.state("held/a"))?.legalHold).toBe(true);
      expect(await codeOf(store.delete("held/a"))).toBe("OBJECT_RETAINED");
      await store.locks?.setLegalHold("held/a", false);
      expect((await store.locks?.state("held/a"))?.legalHold).toBe(false);
      await store.delete("held/a");
      expect(await store.head("held/a")).toBeUndefined();
    });

    it("names an object that is missing", async () => {
      await using store = await open();
      if (store.locks === undefined) throw new Error("no locks");
      expect(await codeOf(store.locks.state("missing/a"))).toBe("OBJECT_MISSING");
      expect(await codeOf(store.locks.extend("missing/a", (await store.now()) + DAY_MS))).toBe("OBJECT_MISSING");
      expect(await codeOf(store.locks.setLegalHold("missing/a", true))).toBe("OBJECT_MISSING");
    });
  });
}

/** What a storage promises of an object that is sent in parts. */
export function takesParts(title: string, open: () => Promise<ObjectStore>): void {
  it(`${title} shows an object that is sent in parts when it is finished, whole, and to one writer of a name`, async () => {
    await using store = await open();
    const { large } = store;
    if (large === undefined) throw new Error("no large objects");
    const names = async () => (await Array.fromAsync(store.list("large/"))).map(({ name }) => name);
    // The least that every storage takes for a part that is not the last.
    const parts = [randomBytes(5 * 1024 * 1024), randomBytes(5 * 1024 * 1024), randomBytes(3)];
    const object = await large.begin("large/a");
    const late = await large.begin("large/a");
    const given = await large.begin("large/b");
    for (const part of parts) await object.write(part);
    await late.write(Buffer.from("another"));
    await given.write(Buffer.from("up"));
    expect(await names()).toEqual([]);
    await object.finish();
    expect(Buffer.concat(parts).equals(await store.get("large/a"))).toBe(true);
    expect(await codeOf(late.finish())).toBe("OBJECT_EXISTS");
    await given.abandon();
    expect(await names()).toEqual(["large/a"]);
    expect(Buffer.concat(parts).equals(await store.get("large/a"))).toBe(true);

    const empty = await large.begin("large/none");
    await empty.finish();
    expect((await store.head("large/none"))?.size).toBe(0);
  });
}
