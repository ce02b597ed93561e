import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { startKmsStandIn } from "@stillpoint/testkit/kms-stand-in";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { initRepository } from "../src/init-repository.ts";
import { addSlot } from "../src/keys/add-slot.ts";
import { ageIdentity, ageRecipient } from "../src/keys/age.ts";
import { kmsOpener } from "../src/keys/aws-kms.ts";
import { openKeys } from "../src/keys/key-context.ts";
import { keyDues } from "../src/keys/key-dues.ts";
import { createKeyFile, type KeyFiles, keyFiles } from "../src/keys/key-files.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { openerFromFile } from "../src/keys/opener-file.ts";
import { type RotationOptions, rotateIfDue, whyNotByItself } from "../src/keys/rotate-if-due.ts";
import { activeSlots } from "../src/keys/slot-states.ts";
import { openRepository } from "../src/repository.ts";
import { cheap, DAY_MS, keyFile, work } from "./key-trial.ts";
import { digests, file, head, NOW, namesIn, noise, randomFrom, SCRYPT_COST, tarOf, unpack } from "./trial.ts";

const passphrase = { cost: SCRYPT_COST };
const LATER = NOW + 91 * DAY_MS;

function options(more: Partial<RotationOptions> = {}): RotationOptions {
  return { ...work(() => LATER), mode: "auto", environment: {}, passphrase, ...more };
}

/** A repository that a key file opens, with an escrow slot beside: so that its key may be replaced by itself. */
async function withKeyFile(directory: string, content = "the first passphrase", escrow = true) {
  const path = await keyFile(join(directory, "repository.key"), content);
  const store = memoryStore(() => NOW);
  const recipient = await ageRecipient(await identityToRecipient(await generateX25519Identity()));
  await initRepository(store, {
    opener: await openerFromFile(path, passphrase),
    further: escrow ? [{ sealer: recipient, type: "escrow" }] : [],
    random: randomFrom("rotation"),
    now: () => NOW,
  });
  return { path, store };
}

const copyOf = async (store: ObjectStore) => {
  const copy = memoryStore(() => NOW);
  for (const name of await namesIn(store)) await copy.put(name, await store.get(name));
  return copy;
};

class Cut extends Error {}

/** Ends the process, as it were, before or after the call `at`: nothing that comes after is carried out. */
function cutting(at: number, after: boolean) {
  let calls = 0;
  let over = false;
  async function step<Result>(call: () => Promise<Result>): Promise<Result> {
    if (over) throw new Cut("over");
    const isCut = calls++ === at;
    if (isCut && !after) over = true;
    if (over) throw new Cut("before");
    const result = await call();
    if (isCut) over = true;
    if (over) throw new Cut("after");
    return result;
  }
  return {
    isOver: () => over,
    files: {
      read: (path) => step(() => keyFiles.read(path)),
      exists: (path) => step(() => keyFiles.exists(path)),
      create: (path, content, like) => step(() => keyFiles.create(path, content, like)),
      replace: (path, by) => step(() => keyFiles.replace(path, by)),
    } satisfies KeyFiles,
    store: (inner: ObjectStore): ObjectStore => ({
      ...inner,
      put: (name, body, put) => step(() => inner.put(name, body, put)),
      get: (name, range, signal) => step(() => inner.get(name, range, signal)),
      delete: (name, signal) => step(() => inner.delete(name, signal)),
    }),
  };
}

describe("a key file that is due", () => {
  it.each(["a passphrase", "an age identity"])(
    "with %s gets a new key of its kind, and what was backed up before and after restores",
    async (kind) => {
      await using directory = await temporaryDirectory("rotation");
      const content = kind === "a passphrase" ? "the first passphrase" : await generateX25519Identity();
      const { path, store } = await withKeyFile(directory.path, content);
      const open = async () => openRepository(store, { opener: await openerFromFile(path, passphrase), threads: 0 });
      const items = { before: [file("a", noise(1, 200_000))], after: [file("b", noise(2, 200_000))] };
      {
        await using repository = await open();
        await repository.writeBackup(head("before"), tarOf(items.before));
      }
      const review = await rotateIfDue(store, { keyFile: path }, options());
      expect(review.rotated?.replaced).toMatchObject([{ outcome: "deleted" }]);
      const renewed = (await readFile(path, "utf8")).trim();
      expect(renewed).not.toBe(content);
      expect(renewed.startsWith("AGE-SECRET-KEY-1")).toBe(kind === "an age identity");
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(await readdir(directory.path)).toEqual(["repository.key"]);
      const old = kind === "a passphrase" ? cheap(content) : await ageIdentity(new Secret(content));
      await expect(openKeyRing(store, old)).rejects.toMatchObject({ code: "KEY_WRONG" });
      {
        await using repository = await open();
        await repository.writeBackup(head("after"), tarOf(items.after));
        for (const id of ["before", "after"] as const)
          expect(digests(await unpack(repository.readBackup(id)))).toEqual(digests(items[id]));
      }
      // Not due any more: asking again changes nothing.
      const before = await namesIn(store);
      const again = await rotateIfDue(store, { keyFile: path }, options());
      expect(again).toMatchObject({ finished: [], keys: [{ state: "fresh" }] });
      expect(again.rotated).toBeUndefined();
      expect(await namesIn(store)).toEqual(before);
    },
  );

  it("is opened by what is in the file wherever the process ends, and the next one brings it to an end", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const content = await readFile(path, "utf8");
    let cuts = 0;
    for (const after of [false, true])
      for (let at = 0; ; at++) {
        await writeFile(path, content, { mode: 0o600 });
        const copy = await copyOf(store);
        const cut = cutting(at, after);
        const outcome = await rotateIfDue(cut.store(copy), { keyFile: path }, options({ files: cut.files })).catch(
          (error: unknown) => error,
        );
        if (!cut.isOver()) {
          expect(outcome).toMatchObject({ rotated: {} });
          break;
        }
        cuts++;
        expect(outcome).toBeInstanceOf(Error);
        await openKeyRing(copy, await openerFromFile(path, passphrase));
        await rotateIfDue(copy, { keyFile: path }, options());
        const context = await openKeys(copy, await openerFromFile(path, passphrase), work());
        const openers = (await activeSlots(context)).filter(({ document }) => document.type === "opener");
        expect(openers.map(({ document }) => document.slot)).toEqual([context.ring.slot.id]);
        expect(keyDues(openers, LATER)).toMatchObject([{ state: "fresh" }]);
        await expect(openKeyRing(copy, cheap(content.trim()))).rejects.toMatchObject({ code: "KEY_WRONG" });
        expect(await readdir(directory.path)).toEqual(["repository.key"]);
      }
    expect(cuts).toBeGreaterThan(40);
  });

  it("replaced by two at once is opened by what is in the file, and nothing is left beside it", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const content = await readFile(path, "utf8");
    for (let round = 0; round < 10; round++) {
      await writeFile(path, content, { mode: 0o600 });
      const copy = await copyOf(store);
      const both = [1, 2].map(() => rotateIfDue(copy, { keyFile: path }, options()));
      const outcomes = await Promise.allSettled(both);
      expect(outcomes.map(({ status }) => status)).toContain("fulfilled");
      expect(await readFile(path, "utf8")).not.toBe(content);
      await openKeyRing(copy, await openerFromFile(path, passphrase));
      expect((await readdir(directory.path)).filter((name) => name.endsWith(".part"))).toEqual([]);
      await rm(`${path}.next`, { force: true });
    }
  });

  it("is made whole or not at all, by one of many", async () => {
    await using directory = await temporaryDirectory("rotation");
    const path = join(directory.path, "new.key");
    const contents = Array.from({ length: 8 }, (_, n) => `passphrase ${n}`);
    const made = await Promise.all(contents.map((each) => createKeyFile(path, new Secret(each))));
    expect(made.filter((each) => each)).toHaveLength(1);
    expect(contents[made.indexOf(true)]).toBe((await readFile(path, "utf8")).trim());
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory.path)).toEqual(["new.key"]);
  });

  it("that is the only way in stays as it is, and people are told why", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path, "the first passphrase", false);
    const before = [await namesIn(store), await readFile(path, "utf8")];
    const review = await rotateIfDue(store, { keyFile: path }, options());
    expect(review.rotated).toBeUndefined();
    expect(review.keys).toMatchObject([{ state: "due", why: expect.stringContaining("key export") }]);
    expect([await namesIn(store), await readFile(path, "utf8")]).toEqual(before);
  });

  it("stays where rotation is switched off or the file is another's to write", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const off = await rotateIfDue(store, { keyFile: path }, options({ mode: "remind" }));
    expect(off.keys).toMatchObject([{ state: "due", why: expect.stringContaining("switched off") }]);
    await writeFile(join(directory.path, "..data"), ""); // what tells a Kubernetes secret mount
    await chmod(path, 0o400);
    const mounted = await rotateIfDue(store, { keyFile: path }, options());
    expect(mounted.keys).toMatchObject([{ state: "due", why: expect.stringContaining("Kubernetes secret") }]);
    expect(off.rotated ?? mounted.rotated).toBeUndefined();
  });

  it("stays where another target was promoted: its slot would be on a target that nobody opens any more", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const before = await readFile(path, "utf8");
    const opener = await openerFromFile(path, passphrase);
    await using repository = await openRepository(store, { opener, threads: 0, target: "first" });
    const second = { ...memoryStore(() => NOW), url: "memory:second" };
    await repository.replicas.promote(second, { name: "second", by: "tests" });
    await expect(rotateIfDue(store, { keyFile: path }, options({ target: "first" }))).rejects.toMatchObject({
      code: "NOT_PRIMARY",
    });
    expect(await readFile(path, "utf8")).toBe(before);
    const { rotated } = await rotateIfDue(second, { keyFile: path }, options({ target: "second" }));
    expect(rotated?.replaced).toHaveLength(1);
    expect(await readFile(path, "utf8")).not.toBe(before);
  });

  it("whose new slot does not open keeps the old key", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const content = await readFile(path, "utf8");
    const known = new Set(await namesIn(store, "keys/"));
    const lying: ObjectStore = {
      ...store,
      // Answers success, and stores a slot that is cut short.
      put: (name, body, put) =>
        name.startsWith("keys/") && !known.has(name)
          ? store.put(name, Buffer.from("{}\n"), put)
          : store.put(name, body, put),
    };
    await expect(rotateIfDue(lying, { keyFile: path }, options())).rejects.toBeInstanceOf(StillpointError);
    expect(await readFile(path, "utf8")).toBe(content);
    await openKeyRing(store, await openerFromFile(path, passphrase));
  });
});

describe("a slot of a key service that is due", () => {
  it("is wrapped anew by itself, and the new one opens", async () => {
    await using kms = await startKmsStandIn();
    const key = kms.createKey();
    const opener = kmsOpener({ key, environment: kms.environment });
    const store = memoryStore(() => NOW);
    await initRepository(store, { opener, random: randomFrom("kms"), now: () => NOW });
    const before = await namesIn(store, "keys/");
    const review = await rotateIfDue(store, { kmsKey: key }, options({ environment: kms.environment }));
    expect(review.rotated?.replaced).toMatchObject([{ outcome: "deleted" }]);
    const after = await namesIn(store, "keys/");
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    await openKeyRing(store, opener);
  });
});

describe("when keys are due", () => {
  it("is 90 days after they were made, with notice 14 days before; escrow is not", async () => {
    await using directory = await temporaryDirectory("rotation");
    const { path, store } = await withKeyFile(directory.path);
    const context = await openKeys(store, await openerFromFile(path, passphrase), work());
    await addSlot({ ...context, now: () => NOW + DAY_MS }, cheap("second"), { type: "opener", label: "second" });
    const slots = await activeSlots(context);
    const at = (days: number) => keyDues(slots, NOW + days * DAY_MS).map(({ label, state }) => [label, state]);
    expect(at(75)).toEqual([
      [undefined, "fresh"],
      ["second", "fresh"],
    ]);
    expect(at(76)).toEqual([
      [undefined, "soon"],
      ["second", "fresh"],
    ]);
    expect(at(90)).toEqual([
      [undefined, "due"],
      ["second", "soon"],
    ]);
    expect(keyDues(slots, NOW)[0]?.dueAt).toBe("2026-04-02T03:04:05.678Z");
  });

  it("only what this machine can store anew, and what leaves another way in, is replaced by itself", () => {
    const sound = { mode: "auto", isOwn: true, inFile: true, others: 1 } as const;
    expect(whyNotByItself(sound)).toBeUndefined();
    expect(whyNotByItself({ ...sound, inFile: false, others: 0 })).toBeUndefined();
    for (const [change, why] of [
      [{ mode: "remind" }, /switched off/],
      [{ isOwn: false }, /not this process's/],
      [{ readOnly: "no" }, /^no$/],
      [{ others: 0 }, /only way in/],
    ] as const)
      expect(whyNotByItself({ ...sound, ...change })).toMatch(why);
  });
});
