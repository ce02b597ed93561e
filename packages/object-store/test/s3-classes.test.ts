import type { ServerResponse } from "node:http";
import { Secret } from "@stillpoint/contracts/secret";
import { describe, expect, it } from "vitest";
import { s3Store } from "../src/s3.ts";
import { codeOf } from "./conformance.ts";
import { standIn } from "./stand-in.ts";

const key = new Secret("key");

/** S3 as far as classes go, for one object: what no S3 server here has. */
async function archive() {
  const object = { storageClass: "GLACIER", restore: undefined as string | undefined, locked: false };
  const head = (response: ServerResponse) =>
    response.writeHead(200, {
      "content-length": "1",
      "last-modified": new Date(0).toUTCString(),
      "x-amz-storage-class": object.storageClass,
      ...(object.restore === undefined ? {} : { "x-amz-restore": object.restore }),
    });
  const refuse = (response: ServerResponse, status: number, code: string) =>
    response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
  const enabled = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
  const server = await standIn(({ method, path, headers }, response) => {
    if (path.includes("object-lock")) object.locked ? response.end(enabled) : refuse(response, 404, "NotFound");
    else if (method === "HEAD") head(response).end();
    else if (method === "POST" && object.restore !== undefined) refuse(response, 409, "RestoreAlreadyInProgress");
    else if (method === "POST") {
      object.restore = 'ongoing-request="true"';
      response.writeHead(202).end();
    } else if (method === "PUT") {
      object.storageClass = String(headers["x-amz-storage-class"]);
      response.end("<CopyObjectResult></CopyObjectResult>");
    } else if (object.storageClass === "GLACIER" && !object.restore?.includes('"false"'))
      refuse(response, 403, "InvalidObjectState");
    else head(response).end("x");
  });
  const access = { region: "us-east-1", endpoint: server.endpoint, accessKeyId: key, secretAccessKey: key };
  const store = s3Store({ bucket: "bucket", prefix: "in/", ...access });
  const { classes } = store;
  if (classes === undefined) throw new Error("no classes");
  return { object, server, store, classes, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe("S3's classes", () => {
  it("give a cold object only after the thaw that was asked for, which is asked for once", async () => {
    await using test = await archive();
    expect((await test.store.head("a"))?.storageClass).toBe("archive");
    expect(await codeOf(test.store.get("a"))).toBe("OBJECT_COLD");
    expect(await test.classes.thawState("a")).toBe("cold");
    await test.classes.thaw("a", 3);
    await test.classes.thaw("a", 3);
    const asked = test.server.asked.filter(({ method }) => method === "POST");
    expect(asked.map(({ path, body }) => [path, /<Days>3<\/Days>/.test(body)])).toEqual([
      ["/bucket/in/a?restore=", true],
    ]);
    expect(await test.classes.thawState("a")).toBe("thawing");
    expect(await codeOf(test.store.get("a"))).toBe("OBJECT_COLD");
    test.object.restore = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"';
    expect(await test.classes.thawState("a")).toBe("readable");
    expect((await test.store.get("a")).length).toBe(1);
    expect(test.classes.thawTakesMs("archive")).toBeGreaterThan(0);
  });

  it("are moved to by a copy onto the object itself, unless it is there already or the bucket locks objects", async () => {
    await using test = await archive();
    await test.classes.move("a", "archive");
    expect(test.server.asked.filter(({ method }) => method === "PUT")).toEqual([]);
    test.object.storageClass = "STANDARD";
    await test.classes.move("a", "infrequent");
    const [copy] = test.server.asked.filter(({ method }) => method === "PUT");
    expect([copy?.path.split("?")[0], copy?.headers["x-amz-copy-source"]]).toEqual(["/bucket/in/a", "bucket/in/a"]);
    expect((await test.store.head("a"))?.storageClass).toBe("infrequent");

    await using locked = await archive();
    Object.assign(locked.object, { locked: true, storageClass: "STANDARD" });
    expect(await codeOf(locked.classes.move("a", "archive"))).toBe("STORE_UNSUPPORTED");
    expect(locked.object.storageClass).toBe("STANDARD");
  });
});
