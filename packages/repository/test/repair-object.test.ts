import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { pointOf, proofOf } from "./point-trial.ts";
import { file, head, makeRepository, NOW, namesIn, noise, open, tarOf } from "./trial.ts";

async function pair() {
  const primary = memoryStore(() => NOW);
  const replica = memoryStore(() => NOW);
  await makeRepository(primary);
  const repository = await open(primary, 0);
  await repository.writeBackup(head("one"), tarOf([file("data", noise(1, 1_300_000))]));
  await repository.sealProof(proofOf(1, await repository.sealPoint(pointOf(1, ["one"]))));
  await repository.replicas.replicate(replica);
  return { primary, replica, repository };
}

async function flip(store: ObjectStore, name: string): Promise<Uint8Array> {
  const bytes = await store.get(name);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await store.put(name, bytes);
  return bytes;
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe("repair from a replica", () => {
  it("puts every kind of object back that was damaged or lost, and keeps the damaged bytes", async () => {
    const { primary, replica, repository } = await pair();
    const names = (await namesIn(primary)).filter((name) => !name.startsWith("keys/"));
    expect(names.length).toBeGreaterThan(6);
    for (const name of names) {
      const sound = await primary.get(name);
      const damaged = await flip(primary, name);
      const repaired = await repository.replicas.repair(primary, [replica], name);
      expect([name, repaired.outcome]).toEqual([name, "repaired"]);
      expect(equal(await primary.get(name), sound)).toBe(true);
      const [kept] = (await namesIn(primary, "quarantine/")).filter((each) => each.endsWith(name));
      expect(equal(await primary.get(kept ?? ""), damaged)).toBe(true);
      await primary.delete(name);
      expect((await repository.replicas.repair(primary, [replica], name)).outcome).toBe("repaired");
      expect(equal(await primary.get(name), sound)).toBe(true);
    }
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    // What is in quarantine is no part of the repository: it is not copied.
    expect((await repository.replicas.replicate(replica)).copiedObjects).toBe(0);
    await repository[Symbol.asyncDispose]();
  });

  it("changes nothing where the other copy is damaged too, and goes on to the next", async () => {
    const { primary, replica, repository } = await pair();
    const [pack = ""] = await namesIn(primary, "packs/");
    const healthy = memoryStore(() => NOW);
    await repository.replicas.replicate(healthy);
    const damaged = await flip(primary, pack);
    await flip(replica, pack);
    expect((await repository.replicas.repair(primary, [replica], pack)).outcome).toBe("no-copy");
    expect(equal(await primary.get(pack), damaged)).toBe(true);
    expect(await namesIn(primary, "quarantine/")).toEqual([]);
    const fromThird = await repository.replicas.repair(primary, [replica, healthy], pack);
    expect(fromThird).toMatchObject({ outcome: "repaired", from: healthy.url });
    expect((await repository.replicas.repair(replica, [primary], pack)).outcome).toBe("repaired");
    await repository[Symbol.asyncDispose]();
  });

  it("writes nothing where the object reads well the second time", async () => {
    const { primary, replica, repository } = await pair();
    const [pack = ""] = await namesIn(primary, "packs/");
    const faulty = withFaults(primary);
    faulty.add("get", { fault: "flip", atByte: 500 });
    const repaired = await repository.replicas.repair(faulty.store, [replica], pack);
    expect(repaired.outcome).toBe("sound");
    expect(repaired.why).toMatch(/transient/);
    expect(faulty.calls("put")).toBe(0);
    faulty.assertAllMet();
    await repository[Symbol.asyncDispose]();
  });

  it("says so where a lock lets nobody replace the damaged object", async () => {
    const { primary, replica, repository } = await pair();
    const [pack = ""] = await namesIn(primary, "packs/");
    await flip(primary, pack);
    await primary.locks?.extend(pack, NOW + 86_400_000);
    expect((await repository.replicas.repair(primary, [replica], pack)).outcome).toBe("retained");
    await repository[Symbol.asyncDispose]();
  });
});
