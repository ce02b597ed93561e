import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { beforeAll, describe, expect, it } from "vitest";
import { type HeldStore, heldStore } from "../proof/held-store.ts";
import { planRepair } from "../src/repair/repair-plan.ts";
import type { Fallback } from "../src/replicas/other-copies.ts";
import { openRepository } from "../src/repository.ts";
import { pointOf, trialId } from "./point-trial.ts";
import { digests, file, head, makeRepository, NOW, namesIn, noise, PASSPHRASE, tarOf, unpack } from "./trial.ts";

/** Chunks of one pack that another holds too, and chunks that no other does. */
const SHARED = [file("shared", noise(1, 400_000)), file("pages", noise(2, 300_000), "page:8192")];
const ITEMS = [...SHARED, file("own", noise(3, 200_000))];

let base: HeldStore;
/** The pack of the backup that is read; and another, of whose chunks each lies in the first one too, or in a third. */
let packs: Record<"first" | "second" | "third", string[]>;

async function open(store: ObjectStore, fallbacks: Fallback[] = []) {
  return await openRepository(store, {
    passphrase: PASSPHRASE,
    threads: 0,
    now: () => NOW,
    fellBack: (fallback) => fallbacks.push(fallback),
  });
}

beforeAll(async () => {
  base = heldStore(NOW);
  const { store, objects } = base;
  await makeRepository(store);
  await using one = await open(store);
  await one.writeBackup(head("one"), tarOf(ITEMS));
  await one.sealPoint(pointOf(1, ["one"]));
  const first = await namesIn(store, "packs/");
  // Two more writers, neither of which sees what the one before it wrote, as if they were at work at the same time.
  const unseen = (except: readonly string[] = []) => {
    const some = [...objects].filter(([name]) => /^(packs|index|backups)\//.test(name) && !except.includes(name));
    for (const [name] of some) objects.delete(name);
    return () => some.forEach(([name, object]) => void objects.set(name, object));
  };
  const seen = [...objects.keys()];
  const backOne = unseen();
  await using two = await open(store);
  await two.writeBackup(head("two"), tarOf(SHARED));
  backOne();
  const second = (await namesIn(store, "packs/")).filter((name) => !first.includes(name));
  const backTwo = unseen(seen);
  await using three = await open(store);
  await three.writeBackup(head("three"), tarOf(SHARED));
  backTwo();
  const third = (await namesIn(store, "packs/")).filter((name) => ![...first, ...second].includes(name));
  packs = { first, second, third };
  expect(packs.first).toHaveLength(1);
  expect(packs.second).toHaveLength(1);
});

const [firstOf, secondOf] = [() => packs.first[0] ?? "", () => packs.second[0] ?? ""];

function flip({ objects }: HeldStore, name: string, ...part: number[]): void {
  const bytes = Uint8Array.from(objects.get(name)?.bytes ?? []);
  for (const each of part) {
    const at = Math.floor(bytes.length * each);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  }
  objects.set(name, { bytes, modifiedMs: NOW });
}

/** As a tar and as files, over what is there and anew. */
async function restoredOf(store: ObjectStore) {
  const fallbacks: Fallback[] = [];
  await using repository = await open(store, fallbacks);
  const whole = digests(await unpack(repository.readBackup("one")));
  await using directory = await temporaryDirectory("two-places");
  for (const compare of [false, true]) {
    const path = join(directory.path, String(compare));
    await mkdir(path);
    await repository.restoreFiles("one", path, { compare });
    for (const { entry, body } of ITEMS) expect((await readFile(join(path, entry.path))).equals(body)).toBe(true);
  }
  return { whole, fallbacks };
}

describe("a chunk that lies in two packs", () => {
  it("is read from the other where one is damaged, anywhere, and it is told which pack failed", async () => {
    // In the second part only chunks of its own lie.
    for (const part of [[0.1], [0.3], [0.5], [0.1, 0.3, 0.5]]) {
      const held = base.copy();
      flip(held, firstOf(), ...part);
      const { whole, fallbacks } = await restoredOf(held.store);
      expect(whole).toEqual(digests(ITEMS));
      expect(fallbacks[0]).toMatchObject({ object: firstOf(), pack: secondOf(), error: { code: "OBJECT_DAMAGED" } });
    }
  });

  it("is read from whichever pack has it whole when both are damaged in different chunks", async () => {
    const held = base.copy();
    flip(held, firstOf(), 0.1);
    flip(held, secondOf(), 0.7);
    expect((await restoredOf(held.store)).whole).toEqual(digests(ITEMS));
  });

  it("is read from the other where the pack is gone, and what only that pack held is what fails", async () => {
    const held = base.copy();
    held.objects.delete(secondOf());
    await using repository = await open(held.store);
    const shared = digests(SHARED);
    expect(digests(await unpack(repository.readBackup("two")))).toEqual(shared);
    const other = base.copy();
    other.objects.delete(firstOf());
    await using without = await open(other.store);
    expect(digests(await unpack(without.readBackup("two")))).toEqual(shared);
    await expect(unpack(without.readBackup("one"))).rejects.toMatchObject({
      code: "OBJECT_DAMAGED",
      where: firstOf(),
      why: "the object is missing",
    });
  });

  it("is lost where neither has it whole: nothing wrong is given out", async () => {
    const held = base.copy();
    for (let part = 0.05; part < 1; part += 0.02) for (const name of [firstOf(), secondOf()]) flip(held, name, part);
    await using repository = await open(held.store);
    await expect(unpack(repository.readBackup("one"))).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
    await using directory = await temporaryDirectory("two-places");
    await expect(repository.restoreFiles("one", directory.path)).rejects.toMatchObject({ code: "OBJECT_DAMAGED" });
  });
});

describe("a damaged pack whose chunks another pack holds", () => {
  it("is named by a check, which hurts no point; and a repair leaves nothing damaged and everything restorable", async () => {
    for (const damage of ["flipped", "gone"]) {
      const held = base.copy();
      if (damage === "flipped") flip(held, secondOf(), 0.2, 0.5);
      else held.objects.delete(secondOf());
      await using repository = await open(held.store);
      const report = await repository.check({ readData: true });
      expect(report.problems).toMatchObject([{ object: secondOf(), backups: [], points: [] }]);
      const made = { repositoryId: repository.id, url: held.store.url, madeAt: new Date(NOW).toISOString() };
      const { results } = await repository.repair(planRepair(report, made));
      expect(results).toMatchObject([{ object: secondOf(), outcome: "replaced" }]);
      await using later = await open(held.store);
      expect((await later.check({ readData: true })).problems).toEqual([]);
      expect(digests(await unpack(later.readBackup("two")))).toEqual(digests(SHARED));
      expect(digests(await unpack(later.readBackup("one")))).toEqual(digests(ITEMS));
    }
  });

  it("hurts the backups, and their points, that need of it what no other pack holds", async () => {
    const held = base.copy();
    flip(held, firstOf(), 0.1);
    await using repository = await open(held.store);
    const { problems } = await repository.check({ readData: true });
    expect(problems).toMatchObject([{ object: firstOf(), backups: ["one"], points: [trialId(1)] }]);
  });

  it("is named by a check that reads trees alone, although another pack stood in for it", async () => {
    const named: string[] = [];
    for (const name of [packs.second, packs.third].flat()) {
      const held = base.copy();
      // Every chunk of it.
      for (let part = 0.001; part < 1; part += 0.001) flip(held, name, part);
      await using repository = await open(held.store);
      for (const { object, backups } of (await repository.check()).problems) {
        expect(backups).toEqual([]);
        named.push(object);
      }
    }
    // The tree lies in both; it is read from one of them.
    expect(named).toHaveLength(1);
  });
});
