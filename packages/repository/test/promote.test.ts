import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { addSlot } from "../src/keys/add-slot.ts";
import { openKeys } from "../src/keys/key-context.ts";
import { beginEpoch, planEpoch } from "../src/keys/new-epoch.ts";
import { passphraseOpener } from "../src/keys/passphrase.ts";
import { retireSlot } from "../src/keys/retire-slot.ts";
import { findPrimary, type NamedStore } from "../src/replicas/find-primary.ts";
import { openRepository, type Repository } from "../src/repository.ts";
import { cheap, work } from "./key-trial.ts";
import { pointOf } from "./point-trial.ts";
import {
  digests,
  file,
  head,
  makeRepository,
  NOW,
  namesIn,
  noise,
  PASSPHRASE,
  randomFrom,
  SCRYPT_COST,
  tarOf,
  unpack,
} from "./trial.ts";

const items = (n: number) => [file("same", noise(1, 300_000)), file("own", noise(n + 10, 200_000))];
const order = { name: "second", by: "tests" };

function openAs(store: ObjectStore, target: string): Promise<Repository> {
  return openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW, target });
}

/** A memory store with a URL of its own. */
function named(url: string): ObjectStore {
  return { ...memoryStore(() => NOW), url };
}

async function pair() {
  const first = named("memory:first");
  const second = named("memory:second");
  await makeRepository(first);
  const primary = await openAs(first, "first");
  await primary.writeBackup(head("one"), tarOf(items(1)));
  await primary.sealPoint(pointOf(1, ["one"]));
  return { first, second, primary };
}

describe("promoting a replica", () => {
  it("copies what is behind, and from there on the new one is written, and the old one refuses", async () => {
    const { first, second, primary } = await pair();
    const plan = await primary.replicas.planPromotion(second);
    expect(plan.pointsBehind).toEqual([pointOf(1, ["one"]).pointId]);
    const { promotion, lag } = await primary.replicas.promote(second, order);
    expect(promotion).toMatchObject({ target: "second", by: "tests" });
    expect(lag.objects).toBe(0);
    expect(await namesIn(second)).toEqual(await namesIn(first));
    await expect(primary.writeBackup(head("late"), tarOf(items(2)))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await expect(primary.sealPoint(pointOf(2, ["one"]))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await expect(primary.deletePoint(pointOf(1, []).pointId, order)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    // Opened anew, and by nothing but its URL, it refuses too; what it holds it still gives.
    await using again = await openRepository(first, { passphrase: PASSPHRASE, threads: 0 });
    await expect(again.writeBackup(head("late"), tarOf(items(2)))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    expect(digests(await unpack(again.readBackup("one")))).toEqual(digests(await unpack(tarOf(items(1)))));

    await using promoted = await openAs(second, "second");
    await promoted.writeBackup(head("two"), tarOf(items(2)));
    await promoted.sealPoint(pointOf(2, ["one", "two"]));
    expect(digests(await unpack(promoted.readBackup("two")))).toEqual(digests(await unpack(tarOf(items(2)))));
    // The old one is a replica like any other now.
    await promoted.replicas.replicate(first);
    expect(await namesIn(first)).toEqual(await namesIn(second));
    expect((await promoted.check({ readData: true })).problems).toEqual([]);
    await primary[Symbol.asyncDispose]();
  });

  it("leaves the old one's key slots as they are: what opens there would not open the new one", async () => {
    const { first, second, primary } = await pair();
    const opener = passphraseOpener(PASSPHRASE, { cost: SCRYPT_COST });
    const spare = await openKeys(first, opener, { ...work(), target: "first" });
    const { slot } = await addSlot(spare, cheap("a spare one"), { type: "opener" });
    await primary.replicas.promote(second, order);
    const slots = await namesIn(first, "keys/");
    const refused = { code: "NOT_PRIMARY", where: "first at memory:first" };
    await expect(addSlot(spare, cheap("a late one"), { type: "opener" })).rejects.toMatchObject(refused);
    await expect(retireSlot(spare, slot)).rejects.toMatchObject(refused);
    const plan = await planEpoch(spare, { openers: [], without: [slot] });
    await expect(beginEpoch(spare, plan)).rejects.toMatchObject(refused);
    expect(await namesIn(first, "keys/")).toEqual(slots);
    expect(await namesIn(first, "epochs/")).toHaveLength(1);
    // Named as the new one is, and, where only its URL is known, by that.
    for (const target of ["second", undefined]) {
      const there = await openKeys(second, opener, { ...work(), target });
      expect((await addSlot(there, cheap(`for ${target}`), { type: "opener" })).proven).toBe(true);
    }
    await primary[Symbol.asyncDispose]();
  });

  it("and the old one again makes the old one the primary", async () => {
    const { first, second, primary } = await pair();
    await primary.replicas.promote(second, order);
    await using promoted = await openAs(second, "second");
    await promoted.replicas.promote(first, { name: "first", by: "tests" });
    await expect(promoted.sealPoint(pointOf(3, ["one"]))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await primary.sealPoint(pointOf(3, ["one"]));
    await primary[Symbol.asyncDispose]();
  });

  it("answers no backup as written that was under way and is not on the new primary", async () => {
    const { first, second } = await pair();
    const paused = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const slow: ObjectStore = {
      ...first,
      put: async (name, body, options) => {
        if (name === "backups/late") {
          reached.resolve();
          await paused.promise;
        }
        await first.put(name, body, options);
      },
    };
    await using writer = await openAs(slow, "first");
    const late = writer.writeBackup(head("late"), tarOf(items(3)));
    late.catch(() => undefined);
    await reached.promise;
    await using primary = await openAs(first, "first");
    await primary.replicas.promote(second, order);
    paused.resolve();
    await expect(late).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    // It is on the old one alone, and nothing there is lost: it can be taken in.
    expect(await first.head("backups/late")).toBeDefined();
    expect(await second.head("backups/late")).toBeUndefined();
  });

  it("is refused while something cannot be copied, before any writer is stopped", async () => {
    const { first, second, primary } = await pair();
    const [pack] = await namesIn(first, "packs/");
    await first.put(pack ?? "", new Uint8Array(99));
    await expect(primary.replicas.promote(second, order)).rejects.toMatchObject({ code: "REPLICA_BEHIND" });
    await primary.writeBackup(head("two"), tarOf([file("other", noise(77, 50_000))]));
    const { promotion, lag } = await primary.replicas.promote(second, { ...order, acceptLoss: true });
    expect(promotion.lost?.objects).toBeGreaterThan(0);
    expect(lag.objects).toBeGreaterThan(0);
    await primary[Symbol.asyncDispose]();
  });

  it("broken off after any write is taken up by doing it again", async () => {
    for (let most = 0; ; most++) {
      const { first, second, primary } = await pair();
      let puts = 0;
      const dying: ObjectStore = {
        ...second,
        put: async (...call) => {
          if (puts++ === most) throw new Error("killed");
          await second.put(...call);
        },
      };
      const done = await primary.replicas.promote(dying, order).then(
        () => true,
        () => false,
      );
      await primary.replicas.promote(second, order);
      await using promoted = await openAs(second, "second");
      await promoted.sealPoint(pointOf(9, ["one"]));
      await expect(primary.sealPoint(pointOf(8, ["one"]))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
      expect((await promoted.check({ readData: true })).problems).toEqual([]);
      expect((await promoted.replicas.survey(first)).strays).toEqual([]);
      await primary[Symbol.asyncDispose]();
      if (done) break;
    }
  });

  it("counts also on a copy that never heard of the promotion before", async () => {
    const { first, second, primary } = await pair();
    const third = named("memory:third");
    await primary.replicas.replicate(third);
    await primary.replicas.promote(second, order);
    // The second is lost: what is left are the first, which knows of it, and the third, which does not.
    const left: [NamedStore, NamedStore] = [
      { name: "first", store: first },
      { name: "third", store: third },
    ];
    const chance = { random: randomFrom("roles"), now: () => NOW };
    await expect(findPrimary(left, PASSPHRASE, chance)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const { promotion } = await findPrimary(left, PASSPHRASE, { ...chance, orFirst: true });
    expect(promotion).toMatchObject({ target: "second" });
    await using promoted = await openAs(third, "third");
    await promoted.replicas.promoteAlone({ name: "third", by: "tests", after: promotion });
    const roles = await findPrimary(left, PASSPHRASE, chance);
    expect([roles.primary.name, roles.promotion?.target]).toEqual(["third", "third"]);
    await primary[Symbol.asyncDispose]();
  });

  it("with the old one out of reach loses nothing of what that goes on to store: both together are one repository", async () => {
    const { first, second, primary } = await pair();
    await primary.replicas.replicate(second);
    await using promoted = await openAs(second, "second");
    await promoted.replicas.promoteAlone(order);
    // Cut off from each other, both write.
    await primary.writeBackup(head("left"), tarOf(items(4)));
    await primary.sealPoint(pointOf(4, ["left"]));
    await promoted.writeBackup(head("right"), tarOf(items(5)));
    await promoted.sealPoint(pointOf(5, ["right"]));
    // Out of reach though it was, the old one does not go on as the primary of a target that knows better.
    await expect(primary.replicas.replicate(second)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    // They meet again: the word reaches the old one, and what only that has is found.
    const { strays } = await promoted.replicas.survey(first);
    expect(strays.map(({ name }) => name)).toContain("backups/left");
    await promoted.replicas.replicate(first);
    await expect(primary.sealPoint(pointOf(6, ["left"]))).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    const asPrimary = { code: "NOT_PRIMARY" };
    await expect(primary.replicas.replicate(second)).rejects.toMatchObject(asPrimary);
    await expect(primary.replicas.sweep(second, { graceMs: 0 })).rejects.toMatchObject(asPrimary);
    await primary.replicas.takeIn(second);
    const replicated = async (store: ObjectStore) =>
      (await namesIn(store)).filter((name) => !name.startsWith("condemned/"));
    expect(await replicated(second)).toEqual(await replicated(first));
    await using both = await openAs(second, "second");
    expect((await both.check({ readData: true })).problems).toEqual([]);
    expect(digests(await unpack(both.readBackup("left")))).toEqual(digests(await unpack(tarOf(items(4)))));
    expect(digests(await unpack(both.readBackup("right")))).toEqual(digests(await unpack(tarOf(items(5)))));
    await primary[Symbol.asyncDispose]();
  });
});
