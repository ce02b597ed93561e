import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { startKmsStandIn } from "@stillpoint/testkit/kms-stand-in";
import { startTransitStandIn } from "@stillpoint/testkit/transit-stand-in";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { addSlot } from "../src/keys/add-slot.ts";
import { ageIdentity, ageRecipient } from "../src/keys/age.ts";
import { configuredOpener } from "../src/keys/configured-opener.ts";
import { type KeyContext, openKeys } from "../src/keys/key-context.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { beginEpoch, planEpoch } from "../src/keys/new-epoch.ts";
import { knownSlots } from "../src/keys/slot-states.ts";
import { openRepository } from "../src/repository.ts";
import { cheap, FIRST, keyTrial, work } from "./key-trial.ts";
import { digests, file, head, NOW, namesIn, noise, open, tarOf, unpack } from "./trial.ts";

const itemsOf = (seed: number) => [file("same", noise(99, 100_000)), file("own", noise(seed, 150_000))];

async function newEpoch(context: KeyContext, openers = [context.opener], without: string[] = []) {
  return beginEpoch(context, await planEpoch(context, { openers, without }));
}

async function copyOf(store: ObjectStore) {
  const copy = memoryStore(() => NOW);
  for (const name of await namesIn(store)) await copy.put(name, await store.get(name));
  return copy;
}

describe("a new key epoch", () => {
  it("has another repository key, and every backup of every epoch restores", async () => {
    const { store, reopen } = await keyTrial();
    const keys = new Set<string>();
    for (let epoch = 1; epoch <= 4; epoch++) {
      if (epoch > 1) expect(await newEpoch(await reopen())).toMatchObject({ epoch });
      await using repository = await open(store, 0);
      await repository.writeBackup(head(`epoch-${epoch}`), tarOf(itemsOf(epoch)));
      const { ring } = await openKeyRing(store, cheap(FIRST));
      expect(ring.epochs.current).toBe(epoch);
      expect(ring.slot.type).toBe("opener");
      keys
        .add(Buffer.from(ring.master.key).toString("hex"))
        .add(Buffer.from(ring.epochs.keyOf(epoch) ?? []).toString("hex"));
    }
    expect(keys.size).toBe(8);
    await using repository = await open(store, 1);
    for (let epoch = 1; epoch <= 4; epoch++)
      expect(digests(await unpack(repository.readBackup(`epoch-${epoch}`)))).toEqual(digests(itemsOf(epoch)));
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    expect(await namesIn(store, "keys/")).toHaveLength(1);
  });

  it("in the middle of a file's changes loses none of them", async () => {
    const { store, reopen } = await keyTrial();
    const body = noise(1, 2_000_000);
    const items = () => [file("data", Buffer.from(body), "page:8192"), file("more", noise(9, 70_000))];
    const expected: string[][] = [];
    for (let n = 0; n < 4; n++) {
      if (n === 2) await newEpoch(await reopen());
      noise(50 + n, 8_192).copy(body, n * 5 * 8_192);
      await using repository = await open(store, 0);
      await repository.writeBackup(head(`n-${n}`), tarOf(items()));
      expected.push(digests(items()));
    }
    await using repository = await open(store, 0);
    for (const [n, each] of expected.entries())
      expect(digests(await unpack(repository.readBackup(`n-${n}`)))).toEqual(each);
    expect((await repository.check({ readData: true })).problems).toEqual([]);
  });

  it("keeps every key but the leaked one, escrow for the same recipient too", async () => {
    await using kms = await startKmsStandIn();
    await using vault = await startTransitStandIn();
    vault.createKey("backup");
    const [own, escrow] = [await generateX25519Identity(), await generateX25519Identity()];
    const environment = { ...kms.environment, ...vault.environment };
    const openers = [
      cheap("second"),
      await configuredOpener({ kmsKey: kms.createKey() }, environment),
      await configuredOpener({ transitKey: "backup" }, environment),
      await ageIdentity(new Secret(own)),
    ];
    const { store, context, reopen } = await keyTrial();
    for (const opener of openers) await addSlot(context, opener, { type: "opener", label: opener.method });
    const leaked = await addSlot(context, cheap("leaked"), { type: "opener" });
    await addSlot(context, await ageRecipient(await identityToRecipient(escrow)), { type: "escrow" });

    const begun = await newEpoch(await reopen(), openers, [leaked.slot]);
    expect(begun.slots).toHaveLength(6);
    expect(begun.retired).toHaveLength(7);
    expect(begun.retired.every(({ outcome }) => outcome === "deleted")).toBe(true);
    for (const opener of [...openers, cheap(FIRST), await ageIdentity(new Secret(escrow), { escrow: true })])
      expect((await openKeyRing(store, opener)).ring.epochs.current).toBe(2);
    await expect(openKeyRing(store, cheap("leaked"))).rejects.toMatchObject({ code: "KEY_WRONG" });
    const labels = (await knownSlots(await reopen())).slots.map(({ slot }) => slot.document.label);
    expect(labels).toContain("aws-kms");
  });

  it("is not begun while a key is neither at hand nor given up, nor with escrow alone", async () => {
    const { store, context } = await keyTrial();
    const { slot } = await addSlot(context, cheap("on paper"), { type: "opener" });
    const recipient = await ageRecipient(await identityToRecipient(await generateX25519Identity()));
    await addSlot(context, recipient, { type: "escrow" });
    const before = await namesIn(store);
    await expect(newEpoch(context)).rejects.toMatchObject({ code: "INVALID_REQUEST", where: slot });
    const all = [context.ring.slot.id, slot];
    await expect(newEpoch(context, [], all)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(newEpoch(context, [], ["00".repeat(16)])).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await namesIn(store)).toEqual(before);
    await newEpoch(context, [], [slot]);
  });

  it("gives no key up because its slot was read wrongly, or is damaged", async () => {
    const { store, context } = await keyTrial();
    const second = await addSlot(context, cheap("second"), { type: "opener" });
    const bytes = await store.get(second.name);
    const flipped = Buffer.from(bytes);
    flipped[flipped.length - 4] = (flipped[flipped.length - 4] ?? 0) ^ 1;
    for (const wrong of [flipped, Buffer.from("rubbish")]) {
      await store.put(second.name, wrong);
      await expect(newEpoch(context, [cheap("second")])).rejects.toMatchObject({
        code: "OBJECT_DAMAGED",
        where: second.name,
      });
    }
    await store.put(second.name, bytes);
    await newEpoch(context, [cheap("second")]);
    await openKeyRing(store, cheap("second"));
  });

  it("that breaks off at any call leaves a key that opens, and the next attempt comes out right", async () => {
    const { store } = await keyTrial();
    {
      await using repository = await open(store, 0);
      await repository.writeBackup(head("before"), tarOf(itemsOf(1)));
    }
    const broken = new StillpointError("STORE_UNREACHABLE", { what: "Lost the store" });
    let cuts = 0;
    for (const method of ["put", "delete"] as const)
      for (const fault of [{ fault: "error", error: broken } as const, { fault: "lostAnswer" } as const])
        for (let at = 0; ; at++) {
          const copy = await copyOf(store);
          const faulty = withFaults(copy);
          const context = await openKeys(faulty.store, cheap(FIRST), work());
          faulty.add(method, ...Array.from({ length: at }, () => ({ fault: "none" }) as const), fault);
          const outcome = await newEpoch(context).catch((error: unknown) => error);
          if (faulty.clear() > 0) {
            expect(outcome).toMatchObject({ epoch: 2 });
            break;
          }
          cuts++;
          // Giving the claim back is tried again, and is no failure of what was done.
          if (outcome instanceof StillpointError) expect(outcome.code).toBe("STORE_UNREACHABLE");
          else expect([method, outcome]).toMatchObject(["delete", { epoch: 2 }]);
          const again = await openKeys(copy, cheap(FIRST), work());
          await newEpoch(again);
          await using repository = await open(copy, 0);
          expect(digests(await unpack(repository.readBackup("before")))).toEqual(digests(itemsOf(1)));
          const left = (await knownSlots(await openKeys(copy, cheap(FIRST), work()))).slots;
          expect(left.filter(({ state }) => state === "active")).toHaveLength(1);
          expect(left.filter(({ state }) => state === "earlier" || state === "retired")).toEqual([]);
        }
    // Slot, epoch and change; the deletion of the old slot.
    expect(cuts).toBeGreaterThanOrEqual(8);
  });

  it("begun by two at once is one, and the other says so and leaves nothing", async () => {
    const { store, context } = await keyTrial();
    await addSlot(context, cheap("second"), { type: "opener" });
    const openers = [cheap(FIRST), cheap("second")];
    const contexts = await Promise.all(openers.map((opener) => openKeys(store, opener, work())));
    const outcomes = await Promise.allSettled(contexts.map((each) => newEpoch(each, openers)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: expect.stringMatching(/^(ALREADY_RUNNING|CONFLICT)$/) },
    });
    for (const opener of openers) expect((await openKeyRing(store, opener)).ring.epochs.current).toBe(2);
    expect(await namesIn(store, "keys/")).toHaveLength(2);
  });

  it("is not readable for who has the key before and the slot before, nor can they change what is pinned", async () => {
    const { store, context, reopen } = await keyTrial();
    const old = await copyOf(store);
    await newEpoch(context);
    const { ring: before } = await openKeyRing(old, cheap(FIRST));
    const { ring: after } = await openKeyRing(store, cheap(FIRST));
    expect(after.mastersBefore.map(({ master }) => master)).toEqual([before.master.master]);
    expect(before.epochs.keyOf(2)).toBeUndefined();

    // The first epoch and the configuration, made anew with the old key: sound in themselves, and not those that were.
    const { encodeEpoch } = await import("../src/keys/epoch-chain.ts");
    const forged = encodeEpoch(before.master, before.repositoryId, work().random, NOW);
    const first = await store.get("epochs/00000001");
    await store.put("epochs/00000001", forged.bytes);
    await expect(reopen()).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: "epochs/00000001" });
    await store.put("epochs/00000001", first);

    const { decodeTwoLines, encodeTwoLines, macOf } = await import("../src/format/authenticated-text.ts");
    const { line } = decodeTwoLines("config", await store.get("config"));
    const changed = JSON.parse(line.toString().replace('"pageBlock":65536', '"pageBlock":131072'));
    const mac = macOf(before.master.key, before.repositoryId, "config", Buffer.from(JSON.stringify(changed)));
    const config = await store.get("config");
    await store.put("config", encodeTwoLines(changed, mac));
    await expect(reopen()).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: "config" });
    await store.put("config", config);

    for (const name of ["epochs/00000001", "epochs/00000002"]) {
      const bytes = await store.get(name);
      const flipped = Buffer.from(bytes);
      const at = flipped.indexOf('"salt":"') + 8;
      flipped[at] = flipped[at] === 0x30 ? 0x31 : 0x30;
      await store.put(name, flipped);
      await expect(reopen()).rejects.toMatchObject({ code: "OBJECT_DAMAGED", where: name });
      await store.put(name, bytes);
    }
    await store.delete("epochs/00000001");
    await expect(reopen()).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
    await store.put("epochs/00000001", first);
    await reopen();
  });

  it("that began since a process opened the repository is no damage to that process", async () => {
    const { store, context } = await keyTrial();
    await using early = await openRepository(store, { opener: cheap(FIRST), threads: 0 });
    await newEpoch(context);
    await using late = await open(store, 0);
    await late.writeBackup(head("late"), tarOf(itemsOf(3)));
    await expect(early.headBackup("late")).rejects.toMatchObject({
      code: "CONFLICT",
      hint: expect.stringMatching(/restart/),
    });
    // What the early one still writes is of its epoch, and readable.
    await early.writeBackup(head("early"), tarOf(itemsOf(4))).catch(() => undefined);
    await using reader = await open(store, 0);
    expect((await reader.check({ readData: true })).problems).toEqual([]);
  });
});
