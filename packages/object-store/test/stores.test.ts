import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { directoryStore } from "../src/directory.ts";
import { memoryStore } from "../src/memory.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { codeOf, conformsTo } from "./conformance.ts";

conformsTo("memory", async () => ({ store: memoryStore(Date.now), end: async () => undefined }));

conformsTo("directory", async () => {
  const root = await mkdtemp(join(tmpdir(), "stillpoint-store-"));
  return { store: directoryStore(root), end: () => rm(root, { recursive: true }) };
});

describe("a directory", () => {
  let root = "";
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "stillpoint-directory-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  it("that does not exist is named, and is not made by reading or writing", async () => {
    const store = directoryStore(join(root, "not-mounted"));
    const calls = [
      () => store.put("a", Buffer.from("x")),
      () => store.get("a"),
      () => store.head("a"),
      () => store.delete("a"),
      () => store.now(),
    ];
    for (const call of calls) expect(await codeOf(call())).toBe("BUCKET_MISSING");
    expect(await codeOf(Array.fromAsync(store.list("")))).toBe("BUCKET_MISSING");
    expect(await readdir(root)).toEqual([]);
  });

  it("is made only where that is asked for", async () => {
    const path = join(root, "fresh", "deep");
    await using before = await openObjectStore(path, { environment: {} });
    expect(await codeOf(before.put("a", Buffer.from("x")))).toBe("BUCKET_MISSING");
    await using made = await openObjectStore(path, { environment: {}, create: true });
    await made.put("a", Buffer.from("x"));
    await using byUrl = await openObjectStore(`file://${path}`, { environment: {} });
    expect((await byUrl.get("a")).length).toBe(1);
  });

  it("keeps no temporary file, whatever became of a put", async () => {
    const store = directoryStore(root);
    await store.put("kept", Buffer.from("x"), { ifAbsent: true });
    await codeOf(store.put("kept", Buffer.from("y"), { ifAbsent: true }));
    await codeOf(store.put("kept/below", Buffer.from("z")));
    expect(await readdir(join(root, ".tmp"))).toEqual([]);
  });

  it("is swept of what a process that was killed left behind a day ago, and of nothing younger", async () => {
    const fresh = await mkdtemp(join(root, "swept-"));
    await directoryStore(fresh).put("a", Buffer.from("x"));
    const [old, young] = [join(fresh, ".tmp/old"), join(fresh, ".tmp/young")];
    for (const path of [old, young]) await writeFile(path, "left behind");
    const yesterday = Date.now() / 1000 - 90_000;
    await utimes(old, yesterday, yesterday);
    const store = directoryStore(fresh);
    await store.put("b", Buffer.from("x"));
    expect(await readdir(join(fresh, ".tmp"))).toEqual(["young"]);
    expect((await Array.fromAsync(store.list(""))).map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("on a full file system says so, and keeps nothing of what did not fit", async () => {
    const mount = await mkdtemp(join(root, "full-"));
    const script = fileURLToPath(new URL("./fill-directory.ts", import.meta.url));
    // A file system of its own in a namespace of its own: nothing is left of it when the process ends.
    const { stdout } = await promisify(execFile)("unshare", ["-Urm", process.execPath, script, mount]);
    expect(JSON.parse(stdout)).toEqual({
      code: "DISK_FULL",
      stored: 3,
      sizes: [1_000_000, 1_000_000, 1_000_000],
      left: [],
    });
  });

  it("whose file system refuses to delete says that the object is retained", async () => {
    const kept = await mkdtemp(join(root, "kept-"));
    await directoryStore(kept).put("a/b", Buffer.from("x"));
    const script = fileURLToPath(new URL("./delete-read-only.ts", import.meta.url));
    const { stdout } = await promisify(execFile)("unshare", ["-Urm", process.execPath, script, kept, "a/b", "a/none"]);
    expect(JSON.parse(stdout)).toEqual(["OBJECT_RETAINED", "deleted"]);
    expect((await directoryStore(kept).get("a/b")).length).toBe(1);
  });

  it("that is no directory, or not ours to write, is refused with the reason", async () => {
    const store = directoryStore(root);
    await store.put("a-file", Buffer.from("x"));
    expect(await codeOf(directoryStore(join(root, "a-file")).put("a", Buffer.from("x")))).toMatch(/^(STORE|BUCKET)_/);
    expect(await codeOf(directoryStore("/proc").put("a", Buffer.from("x")))).toMatch(/^STORE_/);
  });
});

describe("the URL of an object store", () => {
  const environment = { AWS_ACCESS_KEY_ID: "an-id", AWS_SECRET_ACCESS_KEY: "a-very-secret-key" };
  const open = (url: string, given: Record<string, string> = environment) =>
    openObjectStore(url, { environment: given });

  it("is refused with the reason where it is none", async () => {
    for (const url of ["ftp://host/x", "s3://", "s3://bucket?colour=red", "s3://bucket?endpoint=nohost"])
      expect(await codeOf(open(url))).toBe("CONFIG_INVALID");
  });

  it("never holds a credential, and an error never shows one", async () => {
    await expect(open("s3://id:a-very-secret-key@bucket/x")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(open("s3://id:a-very-secret-key@bucket/x")).rejects.not.toThrow(/very-secret/);
    await using store = await open("s3://bucket/prefix/?region=eu-central-1");
    expect(store.url).toBe("s3://bucket/prefix");
  });

  it("is another for another account or server, and opens the same store again", async () => {
    const azure = { AZURE_STORAGE_KEY: "a2V5" };
    const urls = [
      "s3://b/x",
      "s3://b/x?endpoint=https://one:9000",
      "s3://b/x?endpoint=https://two",
      "gs://b/x?credentials=none",
    ];
    const further = ["azure://b/x?account=one", "azure://b/x?account=two&endpoint=https://two"];
    const seen = new Set<string>();
    for (const url of [...urls, ...further]) {
      await using store = await open(url, { ...environment, ...azure });
      await using again = await open(store.url, { ...environment, ...azure, GOOGLE_APPLICATION_CREDENTIALS: "/none" });
      expect(again.url).toBe(store.url);
      seen.add(store.url);
    }
    expect(seen.size).toBe(urls.length + further.length);
  });

  it("names the variable that lacks the credentials", async () => {
    await expect(open("s3://bucket", {})).rejects.toMatchObject({
      code: "SECRET_MISSING",
      where: expect.stringContaining("AWS_ACCESS_KEY_ID"),
    });
  });
});
