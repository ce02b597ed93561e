import { Secret } from "@stillpoint/contracts/secret";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../src/object-store.ts";
import { withRetry } from "../src/retry.ts";
import { s3Store } from "../src/s3.ts";
import { locksObjects } from "./capabilities.ts";
import { codeOf } from "./conformance.ts";
import { s3At, standIn } from "./stand-in.ts";

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
  it("whose policy denies deletes can be written to all the same, and gets one probe and no more", async () => {
    const objects = new Set<string>();
    await using server = await standIn(({ method, path, headers }, response) => {
      const [key = ""] = path.split("?");
      const refuse = (status: number, code: string) =>
        response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
      if (path.includes("object-lock")) refuse(404, "NotFound");
      else if (method === "DELETE") refuse(403, "AccessDenied");
      else if (method === "HEAD") response.writeHead(objects.has(key) ? 200 : 404).end();
      else if (headers["if-none-match"] === "*" && objects.has(key)) refuse(412, "PreconditionFailed");
      else response.end(String(objects.add(key).size));
    });
    for (const name of ["a", "b"]) {
      await using store = s3At(server.endpoint);
      await store.put(name, Buffer.from("x"), { ifAbsent: true });
      expect(await codeOf(store.put(name, Buffer.from("y"), { ifAbsent: true }))).toBe("OBJECT_EXISTS");
    }
    expect([...objects]).toEqual(["/bucket/probe", "/bucket/a", "/bucket/b"]);
  });

  it("tells a delete that a policy refuses from credentials that may not even look", async () => {
    let look = 200;
    const denied = "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>";
    await using server = await standIn(({ method, path }, response) => {
      if (path.includes("object-lock")) response.writeHead(404).end("<Error><Code>NotFound</Code></Error>");
      else response.writeHead(method === "HEAD" ? look : 403).end(method === "HEAD" ? "" : denied);
    });
    await using store = s3At(server.endpoint);
    expect(await codeOf(store.delete("a"))).toBe("OBJECT_RETAINED");
    look = 403;
    expect(await codeOf(store.delete("a"))).toBe("STORE_DENIED");
  });

  it("that we may not ask for it is deleted from by versions: a marker would only hide what a lock keeps", async () => {
    let refusal = 403;
    const lock = { "x-amz-object-lock-retain-until-date": "2030-01-01T00:00:00Z" };
    await using server = await standIn(({ method, path }, response) => {
      if (path.includes("object-lock")) response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
      else if (method === "HEAD") response.writeHead(200, { "x-amz-version-id": "v1", ...lock }).end();
      else response.writeHead(refusal).end("<Error><Code>InvalidRequest</Code></Error>");
    });
    await using store = s3At(server.endpoint);
    expect(await store.locks?.available()).toBe(false);
    for (refusal of [403, 400])
      await expect(store.delete("a")).rejects.toMatchObject({
        code: "OBJECT_RETAINED",
        why: expect.stringMatching(/2030/),
      });
    const deletes = server.asked.filter(({ method }) => method === "DELETE");
    expect(deletes.map(({ path }) => path)).toEqual(deletes.map(() => expect.stringContaining("versionId=v1")));
  });

  it("says so, refuses a lock, and stores nothing then", async () => {
    await using store = await ownStore({ locked: false });
    expect(await store.locks?.available()).toBe(false);
    const until = (await store.now()) + 86_400_000;
    expect(await codeOf(store.put("a", Buffer.from("x"), { retainUntilMs: until }))).toBe("STORE_UNSUPPORTED");
    expect(await store.head("a")).toBeUndefined();
  });
});
