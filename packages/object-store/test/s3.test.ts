import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Secret } from "@stillpoint/contracts/secret";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../src/object-store.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { withRetry } from "../src/retry.ts";
import { s3Store } from "../src/s3.ts";
import { takesParts } from "./capabilities.ts";
import { codeOf, conformsTo } from "./conformance.ts";
import { calls } from "./every-call.ts";
import { s3At, standIn } from "./stand-in.ts";

type Bucket = Awaited<ReturnType<typeof ownBucket>>;

function storeIn(
  facts: Bucket,
  changed: Partial<{ bucket: string; secret: string; endpoint: string }> = {},
): ObjectStore {
  return s3Store({
    bucket: changed.bucket ?? facts.bucket,
    prefix: "some/prefix/",
    region: facts.region,
    endpoint: changed.endpoint ?? facts.endpoint,
    accessKeyId: new Secret(facts.accessKeyId),
    secretAccessKey: new Secret(changed.secret ?? facts.secretAccessKey),
  });
}

conformsTo("S3", async () => ({ store: storeIn(await ownBucket()), end: async () => undefined }));
takesParts("S3", async () => storeIn(await ownBucket()));

describe("S3", () => {
  it("whose bucket does not exist says so, at every call", async () => {
    await using store = storeIn(await ownBucket(), { bucket: "there-is-no-such-bucket" });
    for (const call of calls(store)) expect(await codeOf(call())).toBe("BUCKET_MISSING");
  });

  it("that refuses our credentials says so at every call, and shows no secret", async () => {
    const secret = "not-the-secret-of-anybody";
    await using store = storeIn(await ownBucket(), { secret });
    for (const call of calls(store)) {
      expect(await codeOf(call())).toBe("STORE_DENIED");
      await expect(call()).rejects.not.toThrow(new RegExp(secret));
    }
  });

  it("that cannot be reached says so, and that trying again may help", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo; // a TCP server's address is an object
    await new Promise((resolve) => server.close(resolve));
    await using store = storeIn(await ownBucket(), { endpoint: `http://127.0.0.1:${port}` });
    for (const call of calls(store))
      await expect(call()).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retry: "backoff" });
  });

  it("that ignores conditions on writing is found out, and names are guarded as well as it can be done", async () => {
    // A server as older ones are: it takes every PUT, whatever its condition.
    const objects = new Map<string, Buffer>();
    const server = createServer(async (request, response) => {
      const key = request.url?.split("?")[0] ?? "";
      if (request.method === "PUT") objects.set(key, Buffer.concat(await request.toArray()));
      if (request.method === "DELETE") objects.delete(key);
      const isObject = objects.has(key);
      if (request.method === "HEAD") response.writeHead(isObject ? 200 : 404).end();
      else if (request.method === "GET" && !isObject)
        response.end("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
      else response.end(objects.get(key));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo; // a TCP server's address is an object
    try {
      await using store = storeIn(await ownBucket(), { endpoint: `http://127.0.0.1:${port}` });
      expect(await store.createsAtomically()).toBe(false);
      await store.put("once", Buffer.from("first"), { ifAbsent: true });
      expect(await codeOf(store.put("once", Buffer.from("second"), { ifAbsent: true }))).toBe("OBJECT_EXISTS");
      expect([...objects.keys()].filter((key) => key.includes("probe"))).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("takes a name that somebody else is about to write for neither free nor taken", async () => {
    let isThere = false;
    await using server = await standIn(({ method }, response) => {
      if (method === "HEAD") response.writeHead(isThere ? 200 : 404).end();
      else if (method === "GET") response.end("<ListBucketResult/>");
      else response.writeHead(409).end("<Error><Code>ConditionalRequestConflict</Code></Error>");
    });
    await using store = s3At(server.endpoint);
    // The probe asks the same, so that it too does not know yet.
    await expect(store.put("a", Buffer.from("x"), { ifAbsent: true })).rejects.toMatchObject({ retry: "backoff" });
    isThere = true;
    await expect(store.put("a", Buffer.from("x"), { ifAbsent: true })).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
  });

  it("gives an object whole whose length the server does not tell", async () => {
    await using server = await standIn((_, response) => {
      response.write("in ");
      response.end("pieces");
    });
    await using store = s3At(server.endpoint);
    expect(Buffer.from(await store.get("a")).toString()).toBe("in pieces");
  });

  it("is opened by its URL, with credentials from the environment", async () => {
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = await ownBucket();
    const url = `s3://${bucket}/of/mine?endpoint=${encodeURIComponent(endpoint)}&region=${region}`;
    const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    await using store = await openObjectStore(url, { environment });
    await store.put("a/b", Buffer.from("x"));
    expect((await store.get("a/b")).length).toBe(1);
    expect(store.url).toBe(`s3://${bucket}/of/mine?endpoint=${endpoint}`);
  });
});

describe("an object in parts that S3 takes", () => {
  it("is there once although the server refused a part and lost the answer to its end", async () => {
    const [troubles, parts] = [new Set(["part", "end"]), new Map<string, number>()];
    let isThere = false;
    await using server = await standIn(({ method, path, body }, response) => {
      const xml = (text: string, status = 200) =>
        response.writeHead(status, { "content-type": "application/xml" }).end(text);
      const url = new URL(path, "http://localhost");
      if (url.searchParams.has("uploads"))
        return xml("<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>");
      const number = url.searchParams.get("partNumber");
      if (number !== null) {
        if (number === "2" && troubles.delete("part")) return xml("<Error><Code>SlowDown</Code></Error>", 503);
        parts.set(number, body.length);
        return response.writeHead(200, { etag: `"${number}"` }).end();
      }
      if (method === "POST" && isThere) return xml("<Error><Code>PreconditionFailed</Code></Error>", 412);
      if (method === "POST") {
        isThere = true;
        if (troubles.delete("end")) return response.destroy();
      }
      // What is asked beside it: whether the server creates a name in one step.
      return xml("<Error><Code>PreconditionFailed</Code></Error>", method === "PUT" ? 412 : 200);
    });
    await using store = withRetry(s3At(server.endpoint), { random: () => 0, sleep: async () => undefined });
    const large = await store.large?.begin("a");
    for (const length of [5, 6, 1]) await large?.write(new Uint8Array(length));
    expect(await codeOf(large?.finish() ?? Promise.resolve())).toBe("OBJECT_EXISTS");
    expect([...parts]).toEqual([
      ["1", 5],
      ["2", 6],
      ["3", 1],
    ]);
    expect([isThere, troubles.size]).toEqual([true, 0]);
  });
});
