import { StillpointError } from "@stillpoint/contracts/errors";
import { type Fault, withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { withRetry } from "@stillpoint/object-store/retry";
import { describe, expect, it } from "vitest";
import { digests, file, head, makeRepository, NOW, namesIn, noise, open, tarOf, trial, unpack } from "./trial.ts";

const itemsOf = (seed: number) => [
  file("a", noise(3 * seed + 1, 3_000_000)),
  file("b", noise(3 * seed + 2, 3_000_000), "page:8192"),
  file("c", noise(3 * seed + 3, 500)),
];
const items = itemsOf(0);
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
    const inner = memoryStore(() => NOW);
    await makeRepository(inner);
    const faulty = withFaults(inner);
    await using writer = await open(faulty.store, 1);
    await using reader = await open(inner, 1);
    const before = faulty.calls("put");
    await writer.writeBackup(head("sound"), tarOf(itemsOf(0)));
    const puts = faulty.calls("put") - before;
    expect(puts).toBeGreaterThanOrEqual(4);
    let attempts = 0;
    for (let at = 0; at < puts; at++)
      for (const fault of at === 1 ? [broken, lostAnswer, outOfSpace] : [broken, lostAnswer]) {
        // Other bytes each time: nothing of them is there yet.
        const items = itemsOf(++attempts);
        const id = `attempt-${attempts}`;
        faulty.add("put", ...Array.from({ length: at }, () => sound), fault);
        const code = fault.fault === "outOfSpace" ? "DISK_FULL" : "STORE_UNREACHABLE";
        const error = await writer.writeBackup(head(id), tarOf(items)).catch((reason: unknown) => reason);
        // Threads decide how many packs there are: this attempt may have had one write less than the first.
        if (faulty.clear() > 0) expect(at).toBe(puts - 1);
        else expect(error).toMatchObject({ code });
        expect((await reader.check()).problems).toEqual([]);
        // The manifest is there although its answer was lost: then the backup is whole.
        if ((await reader.headBackup(id)) === undefined) await reader.writeBackup(head(id), tarOf(items));
        else expect(fault.fault).toBe("lostAnswer");
        expect(digests(await unpack(reader.readBackup(id)))).toEqual(digests(items));
      }
    await using later = await open(inner, 1);
    expect((await later.check({ readData: true })).problems).toEqual([]);
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
