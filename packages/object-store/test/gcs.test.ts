import { freePort } from "@stillpoint/parts/free-port";
import { ownGcsBucket } from "@stillpoint/testkit/gcs";
import { describe, expect, it } from "vitest";
import { gcsStore } from "../src/gcs.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { codeOf, conformsTo } from "./conformance.ts";
import { calls } from "./every-call.ts";

async function ownStore() {
  return gcsStore({ ...(await ownGcsBucket()), prefix: "some/prefix/", credentials: "none" });
}

conformsTo("Google Cloud Storage", async () => ({ store: await ownStore(), end: async () => undefined }));

describe("Google Cloud Storage", () => {
  it("whose bucket does not exist says so, at every call", async () => {
    const { endpoint } = await ownGcsBucket();
    await using store = gcsStore({ endpoint, bucket: "there-is-none", prefix: "", credentials: "none" });
    for (const call of calls(store)) expect(await codeOf(call())).toBe("BUCKET_MISSING");
  });

  it("that cannot be reached says so, and that trying again may help", async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await using store = gcsStore({ endpoint, bucket: "bucket", prefix: "", credentials: "none" });
    for (const call of calls(store))
      await expect(call()).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retry: "backoff" });
  });

  it("is given a class and a lock with the object, and tells both", async () => {
    await using store = await ownStore();
    const until = Date.UTC(2100, 0, 1);
    await store.put("a", Buffer.from("x"), { ifAbsent: true, retainUntilMs: until, storageClass: "infrequent" });
    expect((await store.head("a"))?.storageClass).toBe("infrequent");
    expect(await store.locks?.state("a")).toEqual({ retainedUntilMs: until, legalHold: false });
    expect(await codeOf(store.locks?.state("missing") ?? Promise.resolve())).toBe("OBJECT_MISSING");
  });

  it("is opened by its URL", async () => {
    const { endpoint, bucket } = await ownGcsBucket();
    const url = `gs://${bucket}/of/mine?endpoint=${encodeURIComponent(endpoint)}&credentials=none`;
    await using store = await openObjectStore(url, { environment: {} });
    await store.put("a/b", Buffer.from("x"));
    expect((await store.get("a/b")).length).toBe(1);
    expect(store.url).toBe(`gs://${bucket}/of/mine`);
  });
});
