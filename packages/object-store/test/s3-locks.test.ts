import { Secret } from "@stillpoint/contracts/secret";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../src/object-store.ts";
import { withRetry } from "../src/retry.ts";
import { s3Store } from "../src/s3.ts";
import { locksObjects } from "./capabilities.ts";
import { codeOf } from "./conformance.ts";
import { standIn } from "./stand-in.ts";

async function ownStore(options: { locked?: boolean; lockMode?: "COMPLIANCE" | "GOVERNANCE" }): Promise<ObjectStore> {
  const facts = await ownBucket({ locked: options.locked ?? true });
  const { bucket, region, endpoint } = facts;
  const accessKeyId = new Secret(facts.accessKeyId);
  const secretAccessKey = new Secret(facts.secretAccessKey);
  const { lockMode } = options;
  return s3Store({ bucket, prefix: "some/prefix/", region, endpoint, accessKeyId, secretAccessKey, lockMode });
}

locksObjects("S3 with object lock", () => ownStore({}));
locksObjects("S3 with object lock in governance mode", () => ownStore({ lockMode: "GOVERNANCE" }));
locksObjects("S3 with object lock, behind the retry wrapper", async () =>
  withRetry(await ownStore({}), { random: Math.random, sleep: async () => undefined }),
);

describe("S3 with object lock", () => {
  it("deletes what is not locked, whatever versions there are of it", async () => {
    await using store = await ownStore({});
    await store.put("a", Buffer.from("first"));
    await store.put("a", Buffer.from("second"));
    await store.delete("a");
    expect(await store.head("a")).toBeUndefined();
    await store.delete("a");
  });
});

describe("S3 without object lock", () => {
  it("tells a delete that a policy refuses from credentials that may not even look", async () => {
    let look = 200;
    const denied = "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>";
    await using server = await standIn(({ method, path }, response) => {
      if (path.includes("object-lock")) response.writeHead(404).end("<Error><Code>NotFound</Code></Error>");
      else response.writeHead(method === "HEAD" ? look : 403).end(method === "HEAD" ? "" : denied);
    });
    const key = new Secret("key");
    const access = { region: "us-east-1", endpoint: server.endpoint, accessKeyId: key, secretAccessKey: key };
    await using store = s3Store({ bucket: "bucket", prefix: "", ...access });
    expect(await codeOf(store.delete("a"))).toBe("OBJECT_RETAINED");
    look = 403;
    expect(await codeOf(store.delete("a"))).toBe("STORE_DENIED");
  });

  it("says so, refuses a lock, and stores nothing then", async () => {
    await using store = await ownStore({ locked: false });
    expect(await store.locks?.available()).toBe(false);
    const until = (await store.now()) + 86_400_000;
    expect(await codeOf(store.put("a", Buffer.from("x"), { retainUntilMs: until }))).toBe("STORE_UNSUPPORTED");
    expect(await store.head("a")).toBeUndefined();
  });
});
