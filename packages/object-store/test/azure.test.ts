import { randomBytes } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import { freePort } from "@stillpoint/parts/free-port";
import { ownContainer, sharedAzure } from "@stillpoint/testkit/azure";
import { describe, expect, it } from "vitest";
import { azureStore } from "../src/azure.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { takesParts } from "./capabilities.ts";
import { codeOf, conformsTo } from "./conformance.ts";
import { calls } from "./every-call.ts";
import { standIn } from "./stand-in.ts";

type Place = Awaited<ReturnType<typeof ownContainer>>;

function storeIn(place: Place, accountKey = place.accountKey) {
  const { account, container, endpoint } = place;
  const credentials = { accountKey: new Secret(accountKey) };
  return azureStore({ account, container, endpoint, credentials, prefix: "some/prefix/", namesPerPage: 400 });
}

conformsTo("Azure Blob", async () => ({ store: storeIn(await ownContainer()), end: async () => undefined }));
takesParts("Azure Blob", async () => storeIn(await ownContainer()));

describe("Azure Blob", () => {
  it("whose container does not exist says so, at every call", async () => {
    await using store = storeIn({ ...(await sharedAzure()), container: "there-is-none" });
    for (const call of calls(store)) expect(await codeOf(call())).toBe("BUCKET_MISSING");
  });

  it("that refuses our credentials says so at every call, and shows no secret", async () => {
    const key = randomBytes(64).toString("base64");
    await using store = storeIn(await ownContainer(), key);
    for (const call of calls(store)) {
      expect(await codeOf(call())).toBe("STORE_DENIED");
      await expect(call()).rejects.not.toThrow(key);
    }
  });

  it("that cannot be reached says so, and that trying again may help", async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}/stillpoint`;
    await using store = storeIn({ ...(await sharedAzure()), container: "any", endpoint });
    for (const call of calls(store))
      await expect(call()).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retry: "backoff" });
  });

  it("gives an object of the archive tier only after a thaw, and moves objects between tiers", async () => {
    await using store = storeIn(await ownContainer());
    const { classes } = store;
    if (classes === undefined) throw new Error("no classes");
    await store.put("a", Buffer.from("x"), { storageClass: "infrequent" });
    expect((await store.head("a"))?.storageClass).toBe("infrequent");
    await classes.move("a", "deep-archive");
    expect((await Array.fromAsync(store.list("")))[0]?.storageClass).toBe("deep-archive");
    expect(await classes.thawState("a")).toBe("cold");
    expect(await codeOf(store.get("a"))).toBe("OBJECT_COLD");
    await classes.thaw("a", 1);
    await classes.thaw("a", 1);
    // Azurite thaws at once.
    expect(await classes.thawState("a")).toBe("readable");
    expect((await store.get("a")).length).toBe(1);
    expect(await codeOf(classes.thawState("missing"))).toBe("OBJECT_MISSING");
  });

  it("is opened by its URL, with credentials from the environment", async () => {
    const { account, accountKey, container, endpoint } = await ownContainer();
    const url = `azure://${container}/of/mine?endpoint=${encodeURIComponent(endpoint)}`;
    const environment = { AZURE_STORAGE_ACCOUNT: account, AZURE_STORAGE_KEY: accountKey };
    await using store = await openObjectStore(url, { environment });
    await store.put("a/b", Buffer.from("x"));
    expect((await store.get("a/b")).length).toBe(1);
    expect(store.url).toBe(`azure://${container}/of/mine?account=${account}&endpoint=${endpoint}`);
  });
});

// Azurite has no immutability: what is asked of Azure is looked at here.
describe("what is asked of Azure Blob", () => {
  const place = { account: "acc", container: "box", prefix: "", credentials: { accountKey: new Secret("a2V5") } };
  const until = Date.UTC(2030, 0, 1);
  const locked = {
    "last-modified": new Date(0).toUTCString(),
    "x-ms-immutability-policy-until-date": new Date(until).toUTCString(),
    "x-ms-immutability-policy-mode": "locked",
    "x-ms-legal-hold": "true",
  };

  it("is a locked policy that is never shortened, a legal hold, and both with a put", async () => {
    await using server = await standIn(({ method, path }, response) =>
      response
        .writeHead(method === "PUT" && !path.includes("comp=") ? 201 : 200, method === "HEAD" ? locked : {})
        .end(),
    );
    await using store = azureStore({ ...place, endpoint: server.endpoint });
    const { locks } = store;
    if (locks === undefined) throw new Error("no locks");
    expect(await locks.state("a")).toEqual({ retainedUntilMs: until, legalHold: true });
    await locks.extend("a", until - 1_000);
    await locks.extend("a", until + 1_000);
    await locks.setLegalHold("a", false);
    await store.put("b", Buffer.from("x"), { retainUntilMs: until, storageClass: "infrequent" });
    const sent = server.asked
      .filter(({ method }) => method === "PUT")
      .map(({ path, headers }) => [
        path,
        headers["x-ms-immutability-policy-until-date"] ?? headers["x-ms-legal-hold"],
        headers["x-ms-immutability-policy-mode"],
        headers["x-ms-access-tier"],
      ]);
    expect(sent).toEqual([
      ["/box/a?comp=immutabilityPolicies", new Date(until + 1_000).toUTCString(), "Locked", undefined],
      ["/box/a?comp=legalhold", "false", undefined, undefined],
      ["/box/b", new Date(until).toUTCString(), "Locked", "Cool"],
    ]);
  });

  it("tells a delete that a policy refuses from credentials that may not even look", async () => {
    const refusals: [number, string, number, string][] = [
      [409, "BlobImmutableDueToPolicy", 200, "OBJECT_RETAINED"],
      [403, "AuthorizationPermissionMismatch", 200, "OBJECT_RETAINED"],
      [403, "AuthenticationFailed", 403, "STORE_DENIED"],
    ];
    for (const [status, word, look, expected] of refusals) {
      await using server = await standIn(({ method }, response) =>
        response.writeHead(method === "HEAD" ? look : status, { "x-ms-error-code": word }).end(),
      );
      await using store = azureStore({ ...place, endpoint: server.endpoint });
      expect(await codeOf(store.delete("a"))).toBe(expected);
    }
  });
});
