import { generateKeyPair } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { Secret } from "@stillpoint/contracts/secret";
import { freePort } from "@stillpoint/parts/free-port";
import { ownGcsBucket } from "@stillpoint/testkit/gcs";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import { gcsStore } from "../src/gcs.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { withRetry } from "../src/retry.ts";
import { takesParts } from "./capabilities.ts";
import { codeOf, conformsTo } from "./conformance.ts";
import { calls } from "./every-call.ts";
import { certificates, proxyTo, tlsFront } from "./network-fixture.ts";
import { standIn } from "./stand-in.ts";

async function ownStore() {
  return gcsStore({ ...(await ownGcsBucket()), prefix: "some/prefix/", credentials: "none" });
}

conformsTo("Google Cloud Storage", async () => ({ store: await ownStore(), end: async () => undefined }));
takesParts("Google Cloud Storage", ownStore);

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
    expect(store.url).toBe(`gs://${bucket}/of/mine?endpoint=${endpoint}`);
  });
});

// fake-gcs-server keeps no lock, no hold and no class through a rewrite: what is asked of Google is looked at here.
describe("what is asked of Google Cloud Storage", () => {
  const answers = (response: ServerResponse, status: number, json: unknown = {}) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
  const object = { name: "a", size: "1", timeCreated: "2026-01-01T00:00:00Z", storageClass: "STANDARD" };

  it("tells a delete that a lock or policy refuses from credentials that may not even look", async () => {
    let mayLook = true;
    await using server = await standIn(({ method }, response) =>
      method === "GET" && mayLook ? answers(response, 200, object) : answers(response, 403),
    );
    await using store = gcsStore({ endpoint: server.endpoint, bucket: "b", prefix: "", credentials: "none" });
    expect(await codeOf(store.delete("a"))).toBe("OBJECT_RETAINED");
    mayLook = false;
    expect(await codeOf(store.delete("a"))).toBe("STORE_DENIED");
  });

  it("is no byte twice of a part that got through by half, and of one whose answer got lost", async () => {
    let stored = "";
    const failing = new Set(["0-9", "10-15"]);
    await using server = await standIn(({ method, path, headers, body }, response) => {
      if (method === "POST") {
        response.writeHead(200, { location: `${server.endpoint}/session` });
        return response.end();
      }
      expect([method, path]).toEqual(["PUT", "/session"]);
      const [, from = "", span = ""] = /^bytes ((\d+-\d+)|\*)\//.exec(String(headers["content-range"])) ?? [];
      if (from !== "*") {
        expect(Number(from.split("-")[0])).toBe(stored.length);
        // Of the first only a half arrives; of the second all, and then the connection is gone.
        stored += failing.has(span) && span === "0-9" ? body.slice(0, 5) : body;
        if (failing.delete(span)) return span === "0-9" ? answers(response, 503) : response.destroy();
      }
      if (String(headers["content-range"]).endsWith(`/${stored.length}`)) return answers(response, 200, object);
      response.writeHead(308, { range: `bytes=0-${stored.length - 1}` });
      return response.end();
    });
    const inner = gcsStore({ endpoint: server.endpoint, bucket: "b", prefix: "", credentials: "none" });
    await using store = withRetry(inner, { random: () => 0, sleep: async () => undefined });
    const large = await store.large?.begin("a");
    await large?.write(Buffer.from("0123456789"));
    await large?.write(Buffer.from("abcdef"));
    await large?.write(Buffer.from("xyz"));
    await large?.finish();
    expect(failing.size).toBe(0);
    expect(stored).toBe("0123456789abcdefxyz");
  });

  it("is a locked retention that is never shortened, a temporary hold, and a rewrite in as many steps as it takes", async () => {
    const retainUntilTime = "2030-01-01T00:00:00.000Z";
    let steps = 0;
    await using server = await standIn(({ method, path }, response) => {
      if (path.includes("rewriteTo"))
        answers(response, 200, ++steps < 3 ? { rewriteToken: `step-${steps}` } : { done: true });
      else if (path.startsWith("/storage/v1/b/b?")) answers(response, 200, { objectRetention: { mode: "Enabled" } });
      else answers(response, 200, method === "GET" ? { ...object, retention: { retainUntilTime } } : {});
    });
    await using store = gcsStore({ endpoint: server.endpoint, bucket: "b", prefix: "", credentials: "none" });
    const { locks, classes } = store;
    if (locks === undefined || classes === undefined) throw new Error("lacks a capability");
    expect(await locks.available()).toBe(true);
    await locks.extend("a", Date.UTC(2029, 0, 1));
    await locks.extend("a", Date.UTC(2031, 0, 1));
    await locks.setLegalHold("a", true);
    await classes.move("a", "standard");
    await classes.move("a", "archive");
    const sent = server.asked
      .filter(({ method }) => method !== "GET")
      .map(({ path, body }) => [path, JSON.parse(body)]);
    const to = "/storage/v1/b/b/o/a/rewriteTo/b/b/o/a";
    expect(sent).toEqual([
      ["/storage/v1/b/b/o/a", { retention: { mode: "Locked", retainUntilTime: "2031-01-01T00:00:00.000Z" } }],
      ["/storage/v1/b/b/o/a", { temporaryHold: true }],
      [to, { storageClass: "COLDLINE" }],
      [`${to}?rewriteToken=step-1`, { storageClass: "COLDLINE" }],
      [`${to}?rewriteToken=step-2`, { storageClass: "COLDLINE" }],
    ]);
  });

  it("carries the token of the key file's account, fetched once, and by the target's own way through the network", async () => {
    await using directory = await temporaryDirectory("gcs");
    const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
    let refuses = false;
    await using server = await standIn(({ path }, response) => {
      if (path !== "/token") answers(response, 200, object);
      else if (refuses) answers(response, 400, { error: "invalid_grant" });
      else answers(response, 200, { access_token: "a-token", token_type: "Bearer", expires_in: 3600 });
    });
    // The proxy knows no other host than the one where Google gives out its tokens.
    const host = "oauth2.googleapis.com";
    const pem = await certificates(host);
    await using front = await tlsFront(server.endpoint, pem);
    await using proxy = await proxyTo(host, front.port, "password");
    const { certificate, key } = pem.client;
    const network = {
      proxy: new Secret(`http://vault:password@127.0.0.1:${proxy.port}`),
      ca: pem.authority.certificate,
      clientCertificate: { certificate, key: new Secret(key) },
    };
    const keyFile = join(directory.path, "key.json");
    const private_key = privateKey.export({ type: "pkcs8", format: "pem" });
    await writeFile(
      keyFile,
      JSON.stringify({ type: "service_account", client_email: "vault@example.com", private_key }),
    );
    const place = { endpoint: `https://${host}`, bucket: "b", prefix: "", network };
    await using store = gcsStore({ ...place, credentials: { keyFile } });
    await store.head("a");
    await store.head("a");
    expect(server.asked.map(({ path, headers }) => [path.split("?")[0], headers.authorization])).toEqual([
      ["/token", undefined],
      ["/storage/v1/b/b/o/a", "Bearer a-token"],
      ["/storage/v1/b/b/o/a", "Bearer a-token"],
    ]);
    refuses = true;
    await using refused = gcsStore({ ...place, credentials: { keyFile } });
    expect(await codeOf(refused.head("a"))).toBe("STORE_DENIED");
    await front[Symbol.asyncDispose]();
    expect(await codeOf(refused.head("a"))).toBe("STORE_UNREACHABLE");
    await using without = gcsStore({ ...place, credentials: { keyFile: join(directory.path, "none.json") } });
    expect(await codeOf(without.head("a"))).toBe("STORE_DENIED");
  });
});
