import { Secret } from "@stillpoint/contracts/secret";
import { describe, expect, it } from "vitest";
import { azureStore } from "../src/azure.ts";
import { gcsStore } from "../src/gcs.ts";
import type { Network } from "../src/network.ts";
import type { ObjectStore } from "../src/object-store.ts";
import { withRetry } from "../src/retry.ts";
import { s3Store } from "../src/s3.ts";
import { codeOf } from "./conformance.ts";
import { standIn } from "./stand-in.ts";

const key = new Secret(Buffer.alloc(64).toString("base64"));
const kinds: Record<string, (endpoint: string, network?: Network) => ObjectStore> = {
  S3: (endpoint, network) =>
    s3Store({
      bucket: "bucket",
      prefix: "",
      region: "us-east-1",
      endpoint,
      accessKeyId: key,
      secretAccessKey: key,
      network,
    }),
  "Azure Blob": (endpoint, network) =>
    azureStore({ account: "a", container: "bucket", prefix: "", endpoint, credentials: { accountKey: key }, network }),
  "Google Cloud Storage": (endpoint, network) =>
    gcsStore({ bucket: "bucket", prefix: "", endpoint, credentials: "none", network }),
};

describe.each(Object.entries(kinds))("%s", (_, open) => {
  it("is asked as often as the retry wrapper says, and not a time more by its own library", async () => {
    await using server = await standIn((_asked, response) => response.writeHead(503).end());
    await using store = withRetry(open(server.endpoint), {
      random: () => 0,
      sleep: async () => undefined,
      attempts: 3,
    });
    for (const call of [() => store.get("a"), () => store.head("a"), () => store.put("a", Buffer.from("x"))]) {
      const before = server.asked.length;
      expect(await codeOf(call())).toBe("STORE_UNREACHABLE");
      expect(server.asked.length - before).toBe(3);
    }
  });

  it("whose answer breaks off in the middle gives no part of it", async () => {
    await using server = await standIn((_asked, response) => {
      response.writeHead(200, { "content-length": "1000", "last-modified": new Date(0).toUTCString() });
      response.write("x".repeat(500), () => response.destroy());
    });
    await using store = open(server.endpoint);
    expect(await codeOf(store.get("a"))).toBe("STORE_UNREACHABLE");
  });

  it("that falls silent is given up, before its answer and in the middle of it", async () => {
    let begins = false;
    await using server = await standIn((_asked, response) => {
      if (begins) response.writeHead(200, { "content-length": "1000" }).write("x".repeat(500));
    });
    await using store = open(server.endpoint, { silenceMs: 200 });
    expect(await codeOf(store.get("a"))).toBe("STORE_UNREACHABLE");
    expect(await codeOf(store.put("a", Buffer.from("x")))).toBe("STORE_UNREACHABLE");
    begins = true;
    expect(await codeOf(store.get("a"))).toBe("STORE_UNREACHABLE");
  });
});
