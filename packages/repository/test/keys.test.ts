import { Secret } from "@stillpoint/contracts/secret";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { initRepository } from "../src/init-repository.ts";
import { SCRYPT_COST as REAL_COST } from "../src/keys/passphrase.ts";
import { withObjectLock } from "../src/replicas/object-lock.ts";
import { openRepository } from "../src/repository.ts";
import {
  file,
  head,
  makeRepository,
  NOW,
  namesIn,
  noise,
  open,
  PASSPHRASE,
  randomFrom,
  SCRYPT_COST,
  tarOf,
  trial,
} from "./trial.ts";

type Objects = Map<string, { bytes: Uint8Array; modifiedMs: number }>;

describe("opening a repository", () => {
  it("with a wrong passphrase says so, and neither writes nor reads anything else", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await makeRepository(faulty.store);
    const [puts, gets] = [faulty.calls("put"), faulty.calls("get")];
    await expect(openRepository(faulty.store, { passphrase: new Secret("wrong") })).rejects.toMatchObject({
      code: "KEY_WRONG",
      retry: "never",
    });
    expect(faulty.calls("put")).toBe(puts);
    // The configuration, the epoch and the slot.
    expect(faulty.calls("get") - gets).toBe(3);
  });

  it("where there is none says so, and makes none", async () => {
    const store = memoryStore(() => NOW);
    await expect(openRepository(store, { passphrase: PASSPHRASE })).rejects.toMatchObject({
      code: "REPOSITORY_MISSING",
    });
    expect(await namesIn(store)).toEqual([]);
  });

  it("without its key slots says that, and not that the passphrase is wrong", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    for (const name of await namesIn(store, "keys/")) await store.delete(name);
    await expect(open(store)).rejects.toMatchObject({ code: "KEY_UNREADABLE" });
  });

  it("of another format version is refused before the passphrase is tried", async () => {
    const objects: Objects = new Map();
    const store = memoryStore(() => NOW, objects);
    await makeRepository(store);
    const text = Buffer.from(await store.get("config")).toString();
    await store.put("config", Buffer.from(text.replace('"version":1', '"version":2')));
    await expect(openRepository(store, { passphrase: new Secret("wrong") })).rejects.toMatchObject({
      code: "FORMAT_UNKNOWN",
    });
  });

  it("whose configuration, epoch or slot was changed by somebody without the key is refused", async () => {
    const changes: [object: string, from: string, to: string][] = [
      ["config", '"pageBlock":65536', '"pageBlock":131072'],
      ["epochs/00000001", '"epoch":1', '"epoch":2'],
    ];
    for (const [object, from, to] of changes) {
      const store = memoryStore(() => NOW);
      await makeRepository(store);
      const text = Buffer.from(await store.get(object)).toString();
      expect(text).toContain(from);
      await store.put(object, Buffer.from(text.replace(from, to)));
      await expect(open(store)).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: object });
    }
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    const [slot = ""] = await namesIn(store, "keys/");
    const text = Buffer.from(await store.get(slot)).toString();
    await store.put(slot, Buffer.from(text.replace('"type":"opener"', '"type":"escrow"')));
    await expect(open(store)).rejects.toMatchObject({ code: "KEY_WRONG" });
  });

  it("opens by any of several slots", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    await store.put(
      "keys/0000000000000000",
      Buffer.from(
        '{"version":1,"slot":"00000000000000000000000000000000","type":"escrow","method":"age","master":"00000000000000000000000000000000","createdAt":"2026-01-02T03:04:05.000Z"}\nAAAA\n',
      ),
    );
    await using repository = await open(store);
    expect(repository.formatVersion).toBe(1);
  });
});

describe("making a repository", () => {
  it("where there is one changes nothing", async () => {
    const objects: Objects = new Map();
    const store = memoryStore(() => NOW, objects);
    await makeRepository(store);
    const before = [...objects].map(([name, { bytes }]) => `${name} ${Buffer.from(bytes).toString("hex")}`);
    await expect(makeRepository(store, undefined, "other")).rejects.toMatchObject({ code: "REPOSITORY_EXISTS" });
    expect([...objects].map(([name, { bytes }]) => `${name} ${Buffer.from(bytes).toString("hex")}`)).toEqual(before);
  });

  it.each([
    ["no stray slot", (store: ObjectStore) => store, 1],
    [
      "no other that opens, where a lock keeps them",
      (store: ObjectStore) => withObjectLock(store, 86_400_000, () => NOW),
      3,
    ],
  ] as const)(
    "by some at once makes one, which opens with the winner's passphrase and holds %s",
    async (_, of, slots) => {
      const store = of(memoryStore(() => NOW));
      const make = (passphrase: string) =>
        initRepository(store, {
          passphrase: new Secret(passphrase),
          random: randomFrom(passphrase),
          now: () => NOW,
          scryptCost: SCRYPT_COST,
        });
      const outcomes = await Promise.allSettled(["first", "second", "third"].map(make));
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "REPOSITORY_EXISTS" });
      const winner = ["first", "second", "third"][outcomes.findIndex(({ status }) => status === "fulfilled")] ?? "";
      await using repository = await openRepository(store, { passphrase: new Secret(winner) });
      await repository.writeBackup(head("one"), tarOf([file("a", noise(1, 10_000))]));
      expect(await namesIn(store, "keys/")).toHaveLength(slots);
      for (const loser of ["first", "second", "third"].filter((each) => each !== winner))
        await expect(openRepository(store, { passphrase: new Secret(loser) })).rejects.toMatchObject({
          code: "KEY_WRONG",
        });
    },
  );

  it("that another passphrase began is not finished by this one", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    await store.delete("config");
    const other = { passphrase: new Secret("other"), random: randomFrom("other"), now: () => NOW };
    await expect(initRepository(store, other)).rejects.toMatchObject({ code: "REPOSITORY_EXISTS" });
  });

  it("where names cannot be created in one step asks for a sole initialiser", async () => {
    const store = { ...memoryStore(() => NOW), createsAtomically: async () => false };
    const options = { passphrase: PASSPHRASE, random: randomFrom("x"), now: () => NOW, scryptCost: SCRYPT_COST };
    await expect(initRepository(store, options)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await namesIn(store)).toEqual([]);
    await initRepository(store, { ...options, soleInitialiser: true });
    await using repository = await open(store);
    expect(repository.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("stretches passphrases at the price that the format names", () => {
    expect(REAL_COST).toEqual({ n: 131_072, r: 8, p: 1 });
  });
});

describe("what leaves for the object store", () => {
  it("shows neither contents, names nor sizes of files, nor the passphrase or any key", async () => {
    const objects: Objects = new Map();
    const store = memoryStore(() => NOW, objects);
    await using setup = await trial(undefined, store);
    const secretText = "a sentence that must not be seen";
    const items = [file("a-file-name-that-nobody-may-see", Buffer.from(secretText.repeat(1_000)))];
    await setup.repository.writeBackup(head("one"), tarOf(items));
    const all = Buffer.concat([...objects.values()].map(({ bytes }) => bytes));
    for (const text of [
      secretText,
      "file-name-that-nobody",
      "orders",
      PASSPHRASE.reveal(),
      String(items[0]?.body.length),
    ])
      expect(all.includes(text)).toBe(false);
    expect(all.includes(Buffer.from(setup.repository.deriveKey("ticket")))).toBe(false);
  });

  it("names equal chunks differently in two repositories", async () => {
    const [a, b] = [memoryStore(() => NOW), memoryStore(() => NOW)];
    await makeRepository(a, undefined, "a");
    await makeRepository(b, undefined, "b");
    await using one = await open(a);
    await using two = await open(b);
    const items = [file("f", noise(1, 300_000))];
    const [first, second] = [
      await one.writeBackup(head("x"), tarOf(items)),
      await two.writeBackup(head("x"), tarOf(items)),
    ];
    expect(first.checksum).not.toBe(second.checksum);
  });

  it("derives a key for each purpose, the same each time the repository is opened", async () => {
    await using setup = await trial();
    await using again = await open(setup.store);
    expect(again.deriveKey("ticket")).toEqual(setup.repository.deriveKey("ticket"));
    expect(again.deriveKey("other")).not.toEqual(setup.repository.deriveKey("ticket"));
    expect(again.deriveKey("ticket")).toHaveLength(32);
  });
});
