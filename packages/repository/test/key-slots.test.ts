import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { initRepository } from "../src/init-repository.ts";
import { addSlot } from "../src/keys/add-slot.ts";
import { ageIdentity, ageRecipient } from "../src/keys/age.ts";
import { type KeyContext, openKeys } from "../src/keys/key-context.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import type { Opener } from "../src/keys/opener.ts";
import { exportSheet } from "../src/keys/recovery-sheet.ts";
import { planRemoval, retireSlot } from "../src/keys/retire-slot.ts";
import { knownSlots } from "../src/keys/slot-states.ts";
import { testSlots } from "../src/keys/test-slots.ts";
import { cheap, FIRST, keyTrial, work } from "./key-trial.ts";
import { NOW, namesIn, randomFrom, SCRYPT_COST } from "./trial.ts";

const states = async (context: KeyContext) =>
  Object.fromEntries((await knownSlots(context)).slots.map(({ slot, state }) => [slot.document.slot, state]));

async function remove(context: KeyContext, slot: string) {
  await planRemoval(context, slot);
  return retireSlot(context, slot);
}

describe("adding a key slot", () => {
  it("is proved by what was read back, and what does not open is not called done", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    const { context } = await keyTrial(faulty.store);
    const added = await addSlot(context, cheap("second"), { type: "opener", label: "safe" });
    expect(added.proven).toBe(true);
    expect((await openKeyRing(faulty.store, cheap("second"))).ring.slot.id).toBe(added.slot);
    faulty.add("put", { fault: "flip", atByte: -5 });
    await expect(addSlot(context, cheap("third"), { type: "opener" })).rejects.toBeInstanceOf(StillpointError);
    faulty.assertAllMet();
    await openKeyRing(faulty.store, cheap("second"));
  });

  it("never takes a recipient for an opener", async () => {
    const { store, context } = await keyTrial();
    const sealer = await ageRecipient(await identityToRecipient(await generateX25519Identity()));
    const before = await namesIn(store);
    await expect(addSlot(context, sealer, { type: "opener" })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    expect(await namesIn(store)).toEqual(before);
  });

  it("which was changed by who writes to the store is shown as forged, and is not among the active", async () => {
    const { store, context } = await keyTrial();
    const recipient = await identityToRecipient(await generateX25519Identity());
    const { name, slot } = await addSlot(context, await ageRecipient(recipient), { type: "escrow" });
    const thief = await identityToRecipient(await generateX25519Identity());
    const text = Buffer.from(await store.get(name)).toString();
    await store.put(name, Buffer.from(text.replace(recipient, thief)));
    expect((await states(context))[slot]).toBe("forged");
    expect((await testSlots(context, [context.opener])).map((test) => test.slot.document.slot)).not.toContain(slot);
  });
});

describe("removing a key slot", () => {
  it("takes the way in, and what is left opens", async () => {
    const { store, context, reopen } = await keyTrial();
    await addSlot(context, cheap("second"), { type: "opener" });
    const second = await reopen(cheap("second"));
    expect(await remove(second, context.ring.slot.id)).toMatchObject({ outcome: "deleted" });
    await expect(openKeyRing(store, cheap(FIRST))).rejects.toMatchObject({ code: "KEY_WRONG" });
    await openKeyRing(store, cheap("second"));
    expect(await namesIn(store, "keys/")).toHaveLength(1);
  });

  it("that opened the repository is refused, so the last opener cannot go; escrow does not count", async () => {
    const { store, context } = await keyTrial();
    const identity = await generateX25519Identity();
    const escrow = await addSlot(context, await ageRecipient(await identityToRecipient(identity)), { type: "escrow" });
    const before = await namesIn(store);
    await expect(planRemoval(context, context.ring.slot.id)).rejects.toMatchObject({ code: "CONFLICT" });
    const holder = await openKeys(store, await ageIdentity(new Secret(identity), { escrow: true }), work());
    await expect(planRemoval(holder, context.ring.slot.id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(planRemoval(context, "00".repeat(16))).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await namesIn(store)).toEqual(before);
    expect(await remove(context, escrow.slot)).toMatchObject({ outcome: "deleted" });
  });

  it("by two who each remove the other's leaves both objects where they are", async () => {
    const { store, context, reopen } = await keyTrial();
    const { slot } = await addSlot(context, cheap("second"), { type: "opener" });
    const second = await reopen(cheap("second"));
    await Promise.all([planRemoval(context, slot), planRemoval(second, context.ring.slot.id)]);
    const outcomes = await Promise.allSettled([retireSlot(context, slot), retireSlot(second, context.ring.slot.id)]);
    expect(outcomes.some(({ status }) => status === "rejected")).toBe(true);
    const left: Opener[] = [];
    for (const opener of [cheap(FIRST), cheap("second")])
      await openKeyRing(store, opener).then(
        () => left.push(opener),
        () => undefined,
      );
    expect(left.length).toBeGreaterThan(0);
  });

  it("that is damaged is possible, too", async () => {
    const { store, context } = await keyTrial();
    const { slot, name } = await addSlot(context, cheap("second"), { type: "opener" });
    await store.put(name, Buffer.from("rubbish"));
    expect(await remove(context, slot)).toMatchObject({ outcome: "deleted" });
    expect(await namesIn(store, "keys/")).toHaveLength(1);
  });

  it("whose object the target keeps is said to be retained, and to be retired", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    const { context, reopen } = await keyTrial(faulty.store);
    await addSlot(context, cheap("second"), { type: "opener" });
    const second = await reopen(cheap("second"));
    const why = "it is locked until 2027";
    const error = new StillpointError("OBJECT_RETAINED", { what: "Did not delete an object", why });
    faulty.add("delete", { fault: "error", error });
    expect(await remove(second, context.ring.slot.id)).toEqual({
      slot: context.ring.slot.id,
      outcome: "retained",
      why,
    });
    faulty.assertAllMet();
    expect((await states(second))[context.ring.slot.id]).toBe("retired");
    // A storage that says so and keeps it is found out.
    faulty.add("delete", { fault: "lie" });
    expect(await remove(second, context.ring.slot.id)).toMatchObject({ outcome: "retained" });
    faulty.assertAllMet();
    // Saying it twice says it once, and tries the deletion again.
    const changes = await namesIn(faulty.store, "changes/");
    expect(await remove(second, context.ring.slot.id)).toMatchObject({ outcome: "deleted" });
    expect(await namesIn(faulty.store, "changes/")).toEqual(changes);
  });
});

describe("a recovery sheet", () => {
  it("opens the repository with what is printed on it, and a second one has another passphrase", async () => {
    const { store, context } = await keyTrial();
    const print = () => exportSheet(context, { passphrase: { cost: SCRYPT_COST }, url: "s3://backups/shop" });
    const [one, two] = [await print(), await print()];
    const passphrases = [one, two].map(({ sheet }) => /^Passphrase {3}(\S+)$/m.exec(sheet)?.[1] ?? "");
    expect(passphrases[0]).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){7}[0-9A-HJKMNP-TV-Z]{4}$/);
    expect(passphrases[0]).not.toBe(passphrases[1]);
    for (const [index, { slot }] of [one, two].entries()) {
      const { ring } = await openKeyRing(store, cheap(passphrases[index] ?? ""));
      expect(ring.slot.id).toBe(slot);
    }
    for (const part of [context.ring.repositoryId, "s3://backups/shop", "docs/restore.py", "2026-01-02"])
      expect(one.sheet).toContain(part);
    const marked = (await knownSlots(context)).slots.filter(({ slot }) => slot.document.sheet === true);
    expect(marked.map(({ slot }) => slot.document.slot).sort()).toEqual([one.slot, two.slot].sort());
    const all = Buffer.concat(await Promise.all((await namesIn(store)).map((name) => store.get(name)))).toString();
    for (const passphrase of passphrases) expect(all).not.toContain(passphrase);
  });
});

describe("a repository made with several keys", () => {
  it("opens with each from the first moment on", async () => {
    const store = memoryStore(() => NOW);
    const identity = await generateX25519Identity();
    await initRepository(store, {
      opener: cheap("one"),
      further: [
        { sealer: cheap("two"), type: "opener" },
        { sealer: await ageRecipient(await identityToRecipient(identity)), type: "escrow" },
      ],
      random: randomFrom("several"),
      now: () => NOW,
    });
    for (const opener of [cheap("one"), cheap("two"), await ageIdentity(new Secret(identity), { escrow: true })])
      await openKeyRing(store, opener);
    const context = await openKeys(store, cheap("two"), work());
    expect(Object.values(await states(context))).toEqual(["active", "active", "active"]);
  });
});
