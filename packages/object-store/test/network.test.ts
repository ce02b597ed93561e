import { Secret } from "@stillpoint/contracts/secret";
import { ownContainer } from "@stillpoint/testkit/azure";
import { ownGcsBucket } from "@stillpoint/testkit/gcs";
import { ownBucket } from "@stillpoint/testkit/s3";
import { beforeAll, describe, expect, it } from "vitest";
import { azureStore } from "../src/azure.ts";
import { gcsStore } from "../src/gcs.ts";
import type { Network } from "../src/network.ts";
import type { ObjectStore } from "../src/object-store.ts";
import { s3Store } from "../src/s3.ts";
import { codeOf } from "./conformance.ts";
import { calls } from "./every-call.ts";
import { type Certificates, certificates, proxyTo, tlsFront } from "./network-fixture.ts";

/** A name that no resolver knows: what reaches it went through the proxy. */
const HOST = "storage.invalid";
const PASSWORD = "not-for-any-message";

type Kind = { backend: string; open: (endpoint: string, network: Network) => ObjectStore };

const kinds: Record<string, () => Promise<Kind>> = {
  S3: async () => {
    const { endpoint: backend, bucket, region, accessKeyId, secretAccessKey } = await ownBucket();
    const access = { region, accessKeyId: new Secret(accessKeyId), secretAccessKey: new Secret(secretAccessKey) };
    return { backend, open: (endpoint, network) => s3Store({ ...access, bucket, prefix: "", endpoint, network }) };
  },
  "Azure Blob": async () => {
    const { endpoint: backend, account, accountKey, container } = await ownContainer();
    const place = { account, container, credentials: { accountKey: new Secret(accountKey) }, prefix: "" };
    return {
      backend,
      open: (endpoint, network) => azureStore({ ...place, endpoint: `${endpoint}/${account}`, network }),
    };
  },
  "Google Cloud Storage": async () => {
    const { endpoint: backend, bucket } = await ownGcsBucket();
    const place = { bucket, prefix: "", credentials: "none" } as const;
    return { backend, open: (endpoint, network) => gcsStore({ ...place, endpoint, network }) };
  },
};

async function works(store: ObjectStore): Promise<void> {
  const parts = [Buffer.alloc(3_000_000, "a"), Buffer.from("b")];
  await store.put("a/b", parts, { ifAbsent: true });
  expect(Buffer.concat(parts).equals(await store.get("a/b"))).toBe(true);
  expect((await Array.fromAsync(store.list("a/"))).map(({ name }) => name)).toEqual(["a/b"]);
  await store.delete("a/b");
  expect(await store.head("a/b")).toBeUndefined();
}

describe.each(Object.keys(kinds))("%s", (name) => {
  let pem: Certificates;
  let kind: Kind;
  beforeAll(async () => {
    pem = await certificates(HOST);
    kind = await (kinds[name]?.() ?? Promise.reject(new Error(name)));
  });
  const proxyUrl = (port: number, password = PASSWORD) => new Secret(`http://vault:${password}@127.0.0.1:${port}`);

  it("is reached through a proxy, by a certificate of one's own authority, with a client's certificate", async () => {
    await using front = await tlsFront(kind.backend, pem);
    await using proxy = await proxyTo(HOST, front.port, PASSWORD);
    const { certificate, key } = pem.client;
    const clientCertificate = { certificate, key: new Secret(key) };
    const network = { proxy: proxyUrl(proxy.port), ca: pem.authority.certificate, clientCertificate };
    await using store = kind.open(`https://${HOST}:${front.port}`, network);
    await works(store);
    expect(proxy.passed).toEqual({ tunnels: 1, requests: 0, refused: 0 });
  });

  it("turns away who has no certificate or a stranger's, and is not trusted without its authority", async () => {
    await using front = await tlsFront(kind.backend, pem);
    await using proxy = await proxyTo(HOST, front.port, PASSWORD);
    const clientOf = ({ certificate, key }: Certificates["client"]) => ({ certificate, key: new Secret(key) });
    const all = { proxy: proxyUrl(proxy.port), ca: pem.authority.certificate, clientCertificate: clientOf(pem.client) };
    for (const network of [
      { ...all, clientCertificate: undefined },
      { ...all, clientCertificate: clientOf(pem.strange) },
      { ...all, ca: undefined },
    ]) {
      await using store = kind.open(`https://${HOST}:${front.port}`, network);
      for (const call of calls(store)) expect(await codeOf(call())).toBe("STORE_UNREACHABLE");
    }
  });

  it("without TLS goes through the proxy too; a wrong password is refused, and in no message", async () => {
    await using proxy = await proxyTo(HOST, Number(new URL(kind.backend).port), PASSWORD);
    await using store = kind.open(`http://${HOST}`, { proxy: proxyUrl(proxy.port) });
    await works(store);
    expect(proxy.passed.requests).toBeGreaterThan(4);
    await using refused = kind.open(`http://${HOST}`, { proxy: proxyUrl(proxy.port, `wrong-${PASSWORD}`) });
    for (const call of calls(refused)) {
      expect(await codeOf(call())).toMatch(/^STORE_/);
      await expect(call()).rejects.not.toThrow(PASSWORD);
    }
  });
});
