import { StillpointError } from "@stillpoint/contracts/errors";
import { type Fault, withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { withRetry } from "@stillpoint/object-store/retry";
import { describe, expect, it } from "vitest";
import { digests, file, head, makeRepository, NOW, namesIn, noise, open, tarOf, trial, unpack } from "./trial.ts";

const items = [file("a", noise(1, 3_000_000)), file("b", noise(2, 3_000_000), "page:8192"), file("c", noise(3, 500))];
const sound: Fault = { fault: "none" };
const broken: Fault = { fault: "error", error: new StillpointError("STORE_UNREACHABLE", { what: "Lost the store" }) };

const lostAnswer: Fault = { fault: "lostAnswer" };
const outOfSpace: Fault = { fault: "outOfSpace" };

async function writesOf(work: (store: ReturnType<typeof withFaults>["store"]) => Promise<void>): Promise<number> {
  const counted = withFaults(memoryStore(() => NOW));
  await work(counted.store);
  return counted.calls("put");
}

describe("a writer that breaks off", () => {
  it("at any of its writes leaves a sound repository, and writing again comes out right", async () => {
    const puts = await writesOf(async (store) => {
      await makeRepository(store);
      await using repository = await open(store);
      await repository.writeBackup(head("one"), tarOf(items));
    });
    const initPuts = await writesOf((store) => makeRepository(store));
    expect(puts - initPuts).toBeGreaterThanOrEqual(4);
    for (let at = 0; at < puts - initPuts; at++)
      for (const fault of at === 1 ? [broken, lostAnswer, outOfSpace] : [broken, lostAnswer]) {
        const inner = memoryStore(() => NOW);
        await makeRepository(inner);
        const faulty = withFaults(inner);
        faulty.add("put", ...Array.from({ length: at }, () => sound), fault);
        {
          await using repository = await open(faulty.store, 1);
          const code = fault.fault === "outOfSpace" ? "DISK_FULL" : "STORE_UNREACHABLE";
          await expect(repository.writeBackup(head("one"), tarOf(items))).rejects.toMatchObject({ code });
        }
        faulty.assertAllMet();
        await using repository = await open(inner, 1);
        const { problems } = await repository.check({ readData: true });
        expect(problems).toEqual([]);
        // The manifest is there although its answer was lost: then the backup is whole.
        const shown = await Array.fromAsync(repository.backups());
        if (shown.length === 0) await repository.writeBackup(head("one"), tarOf(items));
        else expect(fault.fault).toBe("lostAnswer");
        expect(digests(await unpack(repository.readBackup("one")))).toEqual(digests(items));
        expect((await repository.check()).problems).toEqual([]);
      }
  });

  it("while making the repository is taken up again by the same passphrase", async () => {
    const puts = await writesOf((store) => makeRepository(store));
    for (let at = 0; at < puts; at++)
      for (const fault of [broken, lostAnswer]) {
        const inner = memoryStore(() => NOW);
        const faulty = withFaults(inner);
        faulty.add("put", ...Array.from({ length: at }, () => sound), fault);
        await expect(makeRepository(faulty.store)).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
        faulty.assertAllMet();
        const done = await inner.head("config");
        if (done === undefined) await makeRepository(inner, undefined, "again");
        await using repository = await open(inner, 1);
        await repository.writeBackup(head("one"), tarOf(items));
        expect((await repository.check({ readData: true })).problems).toEqual([]);
      }
  });

  it("does not matter to a store that loses answers, behind the retry wrapper", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    const store = withRetry(faulty.store, { random: () => 0, sleep: async () => undefined });
    await using setup = await trial(undefined, store);
    faulty.add("put", { fault: "lostAnswer" }, broken, sound, { fault: "lostAnswer" }, { fault: "lostAnswer" });
    await setup.repository.writeBackup(head("one"), tarOf(items));
    faulty.add("get", broken, sound, broken);
    faulty.add("list", broken);
    expect(digests(await unpack(setup.repository.readBackup("one")))).toEqual(digests(items));
    expect((await setup.repository.check({ readData: true })).problems).toEqual([]);
    faulty.assertAllMet();
  });
});

describe("writers at once", () => {
  it("of the same bytes, from two processes, lose nothing", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    await using one = await open(store);
    await using two = await open(store);
    await Promise.all([
      one.writeBackup(head("one"), tarOf(items)),
      two.writeBackup(head("two"), tarOf([...items].reverse())),
      one.writeBackup(head("three"), tarOf(items.slice(0, 2))),
    ]);
    // Each reads what the other wrote, which it did not know when it was opened.
    expect(digests(await unpack(one.readBackup("two")))).toEqual(digests([...items].reverse()));
    expect(digests(await unpack(two.readBackup("one")))).toEqual(digests(items));
    expect(digests(await unpack(two.readBackup("three")))).toEqual(digests(items.slice(0, 2)));
    expect((await two.check({ readData: true })).problems).toEqual([]);
  });

  it("of the same id: one backup counts, the other is told", async () => {
    await using setup = await trial();
    const outcomes = await Promise.allSettled([
      setup.repository.writeBackup(head("one"), tarOf(items)),
      setup.repository.writeBackup(head("one"), tarOf(items.slice(1))),
    ]);
    const lost = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(lost).toHaveLength(1);
    expect(lost[0]?.reason).toMatchObject({ code: "OBJECT_EXISTS" });
    const won = outcomes.find((outcome) => outcome.status === "fulfilled");
    expect(await setup.repository.headBackup("one")).toEqual(won?.value);
    await expect(setup.repository.writeBackup(head("one"), tarOf(items))).rejects.toMatchObject({
      code: "OBJECT_EXISTS",
    });
  });
});

describe("a full object store", () => {
  it("says so, and shows nothing as good", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await using setup = await trial(undefined, faulty.store);
    const before = await namesIn(setup.store, "backups/");
    faulty.add("put", { fault: "outOfSpace" });
    await expect(setup.repository.writeBackup(head("one"), tarOf(items))).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await namesIn(setup.store, "backups/")).toEqual(before);
    faulty.assertAllMet();
  });
});
