import { execFile } from "node:child_process";
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Secret } from "@stillpoint/contracts/secret";
import { memoryStore } from "@stillpoint/object-store/memory";
import { startKmsStandIn } from "@stillpoint/testkit/kms-stand-in";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { startTransitStandIn } from "@stillpoint/testkit/transit-stand-in";
import { Decrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { initRepository } from "../src/init-repository.ts";
import { addSlot } from "../src/keys/add-slot.ts";
import { ageIdentity, ageRecipient, identityIn } from "../src/keys/age.ts";
import { kmsOpener } from "../src/keys/aws-kms.ts";
import { configuredOpener } from "../src/keys/configured-opener.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { decodeSlot } from "../src/keys/key-slot.ts";
import type { Opener } from "../src/keys/opener.ts";
import { testSlots } from "../src/keys/test-slots.ts";
import { transitOpener } from "../src/keys/vault-transit.ts";
import { openRepository } from "../src/repository.ts";
import { cheap, FIRST, keyFile, keyTrial } from "./key-trial.ts";
import { digests, file, head, NOW, namesIn, noise, randomFrom, tarOf, unpack } from "./trial.ts";

const run = promisify(execFile);

async function made(opener: Opener) {
  const store = memoryStore(() => NOW);
  await initRepository(store, { opener, random: randomFrom("init"), now: () => NOW });
  return store;
}

async function onlySlot(store: Awaited<ReturnType<typeof made>>) {
  const [name = ""] = await namesIn(store, "keys/");
  return decodeSlot(name, await store.get(name)).document;
}

describe("AWS KMS", () => {
  it("opens what it made, and is told which repository and which slot it is for", async () => {
    await using kms = await startKmsStandIn();
    const key = kms.createKey();
    const store = await made(kmsOpener({ key, context: { tenant: "blue" }, environment: kms.environment }));
    const { ring } = await openKeyRing(store, kmsOpener({ key, environment: kms.environment }));
    const slot = await onlySlot(store);
    expect(slot.kms).toMatchObject({ keyArn: key, context: { tenant: "blue" } });
    const context = {
      tenant: "blue",
      "stillpoint:repository": ring.repositoryId,
      "stillpoint:slot": slot.slot,
    };
    expect(kms.audit).toEqual([
      { operation: "Encrypt", keyArn: key, context },
      { operation: "Decrypt", keyArn: key, context },
    ]);
  });

  it("whose slot another key made says that it is the wrong key", async () => {
    await using kms = await startKmsStandIn();
    const store = await made(kmsOpener({ key: kms.createKey(), environment: kms.environment }));
    const other = kmsOpener({ key: kms.createKey(), environment: kms.environment });
    await expect(openKeyRing(store, other)).rejects.toMatchObject({ code: "KEY_WRONG" });
  });

  it("whose slot was given another repository's or slot's name opens nothing", async () => {
    await using kms = await startKmsStandIn();
    const opener = kmsOpener({ key: kms.createKey(), environment: kms.environment });
    const store = await made(opener);
    const slot = await onlySlot(store);
    expect(await opener.open(slot, "01900000-0000-7000-8000-000000000001")).toBeUndefined();
    expect(
      await opener.open({ ...slot, slot: "00".repeat(16) }, (await openKeyRing(store, opener)).ring.repositoryId),
    ).toBeUndefined();
  });

  it.each([
    ["AccessDeniedException", "KEY_DENIED", "never"],
    ["DisabledException", "KEY_DENIED", "never"],
    ["KMSInternalException", "KEY_UNREACHABLE", "backoff"],
    ["ThrottlingException", "KEY_UNREACHABLE", "backoff"],
  ] as const)("that answers %s is %s, and another slot opens meanwhile", async (failure, code, retry) => {
    await using kms = await startKmsStandIn();
    const opener = kmsOpener({ key: kms.createKey(), environment: kms.environment });
    const { store, context } = await keyTrial();
    await addSlot(context, opener, { type: "opener" });
    kms.fail(failure);
    await expect(openKeyRing(store, opener)).rejects.toMatchObject({ code, retry });
    await openKeyRing(store, cheap(FIRST));
    kms.fail(undefined);
    await openKeyRing(store, opener);
  });

  it("that cannot be reached, or refuses the account, is no wrong key", async () => {
    await using kms = await startKmsStandIn();
    const key = kms.createKey();
    const store = await made(kmsOpener({ key, environment: kms.environment }));
    const foreign = { ...kms.environment, AWS_ACCESS_KEY_ID: "AKIAFOREIGN" };
    await expect(openKeyRing(store, kmsOpener({ key, environment: foreign }))).rejects.toMatchObject({
      code: "KEY_DENIED",
    });
    const nowhere = { ...kms.environment, AWS_ENDPOINT_URL_KMS: "http://127.0.0.1:1" };
    await expect(openKeyRing(store, kmsOpener({ key, environment: nowhere }))).rejects.toMatchObject({
      code: "KEY_UNREACHABLE",
    });
  });
});

describe("Vault transit", () => {
  const opened = (vault: { address: string; token: string }, key = "backup", ca?: string) =>
    transitOpener({ address: vault.address, key, token: async () => new Secret(vault.token), ca });

  it("opens what it made, after its key was rotated too", async () => {
    await using vault = await startTransitStandIn();
    vault.createKey("backup");
    const store = await made(opened(vault));
    vault.rotateKey("backup");
    await openKeyRing(store, opened(vault));
    expect((await onlySlot(store)).transit).toMatchObject({ address: vault.address, mount: "transit", key: "backup" });
  });

  it("says of a sealed Vault that it passes, of a refused token and a deleted key that it does not", async () => {
    await using vault = await startTransitStandIn();
    vault.createKey("backup");
    const store = await made(opened(vault));
    vault.seal();
    await expect(openKeyRing(store, opened(vault))).rejects.toMatchObject({
      code: "KEY_UNREACHABLE",
      retry: "backoff",
      why: "it answers 503: Vault is sealed",
    });
    vault.unseal();
    await expect(openKeyRing(store, opened({ ...vault, token: "hvs.other" }))).rejects.toMatchObject({
      code: "KEY_DENIED",
      why: "it answers 403: permission denied",
    });
    vault.deleteKey("backup");
    await expect(openKeyRing(store, opened(vault))).rejects.toMatchObject({ code: "KEY_DENIED" });
    await expect(openKeyRing(store, opened({ ...vault, address: "http://127.0.0.1:1" }))).rejects.toMatchObject({
      code: "KEY_UNREACHABLE",
    });
  });

  it("shows its token to nobody that a slot names", async () => {
    await using vault = await startTransitStandIn();
    await using thief = await startTransitStandIn();
    vault.createKey("backup");
    const store = await made(opened(vault));
    const [name = ""] = await namesIn(store, "keys/");
    const text = Buffer.from(await store.get(name)).toString();
    await store.put(name, Buffer.from(text.replace(vault.address, thief.address)));
    await expect(openKeyRing(store, opened(vault))).rejects.toMatchObject({ code: "KEY_WRONG" });
    expect(thief.asked).toEqual([]);
  });

  it("is trusted by an authority of one's own, and by no other", async () => {
    await using directory = await temporaryDirectory("transit");
    const [key, cert] = [join(directory.path, "key.pem"), join(directory.path, "cert.pem")];
    const subject = ["-subj", "/CN=vault", "-addext", "subjectAltName=IP:127.0.0.1"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    await run("openssl", ["req", "-x509", ...curve, "-nodes", "-days", "2", ...subject, "-keyout", key, "-out", cert]);
    const ca = await readFile(cert, "utf8");
    await using vault = await startTransitStandIn({ tls: { key: await readFile(key, "utf8"), cert: ca } });
    vault.createKey("backup");
    const store = await made(opened(vault, "backup", ca));
    await expect(openKeyRing(store, opened(vault))).rejects.toMatchObject({
      code: "KEY_UNREACHABLE",
      why: expect.stringMatching(/self-signed certificate/),
    });
    expect(vault.asked.filter(({ path }) => path.includes("decrypt"))).toEqual([]);
    const tokenFile = await keyFile(join(directory.path, "token"), vault.token);
    const environment = {
      STILLPOINT_TRANSIT_URL: vault.address,
      STILLPOINT_TRANSIT_TOKEN_FILE: tokenFile,
      STILLPOINT_TRANSIT_CA_FILE: cert,
    };
    await openKeyRing(store, await configuredOpener({ transitKey: "backup" }, environment));
    await chmod(tokenFile, 0o644);
    await expect(
      openKeyRing(store, await configuredOpener({ transitKey: "backup" }, environment)),
    ).rejects.toMatchObject({
      code: "KEY_UNREADABLE",
      where: tokenFile,
    });
  });

  it("takes no key name that leads out of its engine", () => {
    for (const key of ["../../sys/seal", "a/b", "", "a b", "..", "a?x=1"])
      expect(() => opened({ address: "http://127.0.0.1:1", token: "x" }, key)).toThrow("transit");
  });
});

describe("an age identity", () => {
  it("opens the slot that was made with it", async () => {
    const identity = new Secret(await generateX25519Identity());
    const store = await made(await ageIdentity(identity));
    await openKeyRing(store, await ageIdentity(identity));
    const other = await ageIdentity(new Secret(await generateX25519Identity()));
    await expect(openKeyRing(store, other)).rejects.toMatchObject({ code: "KEY_WRONG" });
  });

  it("is not taken in by a repository that somebody made for its recipient", async () => {
    const identity = new Secret(await generateX25519Identity());
    const recipient = await identityToRecipient(identity.reveal());
    const sealer = await ageRecipient(recipient);
    const store = memoryStore(() => NOW);
    // What somebody who writes to the store, and knows the recipient, can make at most.
    await initRepository(store, {
      opener: { ...sealer, open: async () => undefined },
      random: randomFrom("thief"),
      now: () => NOW,
    });
    expect((await onlySlot(store)).age?.recipient).toBe(recipient);
    await expect(openKeyRing(store, await ageIdentity(identity))).rejects.toMatchObject({ code: "KEY_WRONG" });
    const [name = ""] = await namesIn(store, "keys/");
    const text = Buffer.from(await store.get(name)).toString();
    await store.put(name, Buffer.from(text.replace('"opener"', '"escrow"')));
    await expect(openKeyRing(store, await ageIdentity(identity))).rejects.toMatchObject({ code: "KEY_WRONG" });
  });

  it("opens an escrow slot, which the recipient alone could not", async () => {
    const identity = await generateX25519Identity();
    const { store, context } = await keyTrial();
    const added = await addSlot(context, await ageRecipient(await identityToRecipient(identity)), { type: "escrow" });
    expect(added.proven).toBe(false);
    await expect(openKeyRing(store, await ageIdentity(new Secret(identity)))).rejects.toMatchObject({
      code: "KEY_WRONG",
      hint: expect.stringContaining("--escrow"),
    });
    const holder = await ageIdentity(new Secret(identity), { escrow: true });
    const { ring } = await openKeyRing(store, holder);
    expect(ring.slot).toEqual({ id: added.slot, type: "escrow", method: "age" });
    expect(Buffer.from(ring.master.key).equals(Buffer.from(context.ring.master.key))).toBe(true);
  });

  it("is sealed for in the format that age programs read", async () => {
    const identity = await generateX25519Identity();
    const { store, context } = await keyTrial();
    const { name } = await addSlot(context, await ageRecipient(await identityToRecipient(identity)), {
      type: "escrow",
    });
    const wrapped = Buffer.from(decodeSlot(name, await store.get(name)).document.age?.wrapped ?? "", "base64");
    expect(wrapped.subarray(0, 21).toString()).toBe("age-encryption.org/v1");
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    expect(await decrypter.decrypt(wrapped)).toHaveLength(32);
  });

  it("is known in a file as age-keygen writes it, and by its checksum", async () => {
    const identity = await generateX25519Identity();
    const content = `# created: 2026-01-02T03:04:05Z\n# public key: age1…\n${identity}\n`;
    expect(identityIn(new Secret(content))?.reveal()).toBe(identity);
    expect(identityIn(new Secret("a passphrase"))).toBeUndefined();
    expect(identityIn(new Secret(`${identity}\n${identity}`))).toBeUndefined();
    const mistyped = identity.slice(0, -1) + (identity.endsWith("Q") ? "P" : "Q");
    await expect(ageIdentity(new Secret(mistyped))).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
    await expect(ageRecipient("age1nobody")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(ageRecipient(`age1${"q".repeat(58)}`)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  });
});

describe("a passphrase", () => {
  it("right or wrong is stretched once, however many slots there are", async () => {
    const { store, context } = await keyTrial();
    for (let n = 0; n < 8; n++) await addSlot(context, cheap(`passphrase ${n}`), { type: "opener" });
    const wrong = cheap("none of them");
    await expect(openKeyRing(store, wrong)).rejects.toMatchObject({ code: "KEY_WRONG" });
    expect(wrong.derivations()).toBe(1);
    for (const text of [FIRST, "passphrase 0", "passphrase 7"]) {
      const right = cheap(text);
      await openKeyRing(store, right);
      expect(right.derivations()).toBe(1);
    }
  });

  it("that opens two slots has another key for each", async () => {
    const { store, context } = await keyTrial();
    const { name } = await addSlot(context, cheap(FIRST), { type: "opener" });
    const [one, two] = await Promise.all(
      (await namesIn(store, "keys/")).map(async (each) => decodeSlot(each, await store.get(each))),
    );
    expect(name).toMatch(/^keys\//);
    expect(one?.document.scrypt).toEqual(two?.document.scrypt);
    expect(one?.sealed.equals(two?.sealed ?? Buffer.alloc(0))).toBe(false);
  });

  it("whose slot asks for more memory than is sound is refused before it is stretched", async () => {
    const { store } = await keyTrial();
    const [name = ""] = await namesIn(store, "keys/");
    const text = Buffer.from(await store.get(name)).toString();
    await store.put(name, Buffer.from(text.replace('"n":1024', '"n":4194304')));
    const opener = cheap(FIRST);
    await expect(openKeyRing(store, opener)).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: name });
    expect(opener.derivations()).toBe(0);
  });
});

describe("slots of every method at once", () => {
  it("each open the same repository alone, and with all but one damaged it still opens", async () => {
    await using kms = await startKmsStandIn();
    await using vault = await startTransitStandIn();
    vault.createKey("backup");
    const [own, escrow] = [await generateX25519Identity(), await generateX25519Identity()];
    const environment = { ...kms.environment, ...vault.environment };
    const openers: Opener[] = [
      cheap(FIRST),
      await configuredOpener({ kmsKey: kms.createKey() }, environment),
      await configuredOpener({ transitKey: "transit/backup" }, environment),
      await ageIdentity(new Secret(own)),
      await ageIdentity(new Secret(escrow), { escrow: true }),
    ];
    const { store, context } = await keyTrial();
    for (const opener of openers.slice(1, 4)) await addSlot(context, opener, { type: "opener", label: opener.method });
    await addSlot(context, await ageRecipient(await identityToRecipient(escrow)), { type: "escrow" });

    const items = [file("a", noise(1, 300_000)), file("b", noise(2, 500))];
    {
      await using writer = await openRepository(store, { opener: openers[3] ?? cheap(FIRST), threads: 0 });
      await writer.writeBackup(head("one"), tarOf(items));
    }
    const tests = await testSlots(context, openers);
    expect(tests.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 5 }, () => "opens"));
    const methods = new Set<string>();
    for (const opener of openers) {
      await using repository = await openRepository(store, { opener, threads: 0 });
      expect(digests(await unpack(repository.readBackup("one")))).toEqual(digests(items));
      methods.add((await openKeyRing(store, opener)).ring.slot.method);
    }
    expect([...methods].sort()).toEqual(["age", "aws-kms", "passphrase", "vault-transit"]);

    const ownSlot = (await openKeyRing(store, openers[3] ?? cheap(FIRST))).ring.slot.id;
    for (const name of await namesIn(store, "keys/"))
      if (!name.includes(ownSlot)) await store.put(name, Buffer.from("rubbish"));
    await openKeyRing(store, openers[3] ?? cheap(FIRST));
    await expect(openKeyRing(store, cheap(FIRST))).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
  });
});
