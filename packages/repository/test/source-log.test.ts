import { StillpointError } from "@stillpoint/contracts/errors";
import { gapId, type LogGap, shippedBackupId } from "@stillpoint/contracts/log";
import { backupId, uuid } from "@stillpoint/contracts/names";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { describe, expect, it } from "vitest";
import { sealObject } from "../src/format/sealed-object.ts";
import { encodeTail } from "../src/format/tail-format.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { isOfAnother } from "../src/log/is-of-another.ts";
import type { SourceLog } from "../src/log/source-log.ts";
import { openRepository } from "../src/repository.ts";
import { logBytes, range, SHOP, STREAM, writeLog } from "./log-trial.ts";
import { makeRepository, NOW, namesIn, open, PASSPHRASE, randomFrom, trial } from "./trial.ts";

const gap: LogGap = {
  plan: "shop",
  source: "orders",
  kind: "postgres",
  after: { stream: STREAM, at: "0100" },
  why: "the slot was lost",
  at: "2026-01-02T03:04:05.678Z",
};
const rangesOf = (held: readonly { range: { from: string; to: string } }[]) =>
  held.map((each) => `${each.range.from}-${each.range.to}`).sort();
const summary = ({ fulls, closed, tails, gaps, damaged }: SourceLog) => ({
  fulls: rangesOf(fulls),
  closed: rangesOf(closed),
  tails: rangesOf(tails),
  gaps: gaps.length,
  damaged,
});

describe("a tail", () => {
  it("is there for who opens the repository next, with its bytes, and given twice it is one", async () => {
    await using setup = await trial();
    const after = { stream: "00000000", at: "0100" };
    const of = range(100, 200, { after });
    const head = await setup.repository.putTail(SHOP, of, logBytes(100, 200));
    const [name] = await namesIn(setup.store, "tails/");
    expect(name).toBe(`tails/orders/${STREAM}/0100-0200-7`);
    const stored = await setup.store.get(name ?? "");
    expect(await setup.repository.putTail(SHOP, of, logBytes(100, 200))).toEqual(head);
    expect(await namesIn(setup.store, "tails/")).toEqual([name]);
    expect(await setup.store.get(name ?? "")).toEqual(stored);

    await using other = await open(setup.store, 0);
    const { tails } = await other.sourceLog(SHOP);
    expect(tails).toMatchObject([{ range: of, fenceToken: 7, id: name?.slice("tails/".length) }]);
    const read = await other.readTail(tails[0]?.id ?? "");
    expect(read?.bytes.equals(logBytes(100, 200))).toBe(true);
    expect(read?.head.plan).toBe("shop");
    expect(await other.readTail("orders/00000001/0000-0001-1")).toBeUndefined();
    expect((await other.check({ readData: true })).problems).toEqual([]);
  });

  it("of a writer that came later is another, with the same bytes or not; under one token other bytes are refused", async () => {
    await using setup = await trial();
    const { repository } = setup;
    await repository.putTail(SHOP, range(0, 100), logBytes(0, 100));
    await repository.putTail({ ...SHOP, fenceToken: 9 }, range(0, 100), logBytes(0, 100));
    await repository.putTail({ ...SHOP, fenceToken: 9 }, range(0, 120), logBytes(0, 120));
    const other = repository.putTail(SHOP, range(0, 100), logBytes(1, 101));
    await expect(other).rejects.toMatchObject({ code: "CONFLICT", where: `tails/orders/${STREAM}/0000-0100-7` });
    expect(rangesOf((await repository.sourceLog(SHOP)).tails)).toEqual(["0000-0100", "0000-0100", "0000-0120"]);
  });

  it("of another plan whose source has the same name is that plan's alone", async () => {
    await using setup = await trial();
    const { repository } = setup;
    const billing = { ...SHOP, plan: "billing", fenceToken: 8 };
    await repository.putTail(SHOP, range(0, 100), logBytes(0, 100));
    await repository.putTail(billing, range(100, 200), logBytes(100, 200));
    await writeLog(repository, shippedBackupId(billing, range(0, 100)), range(0, 100), "log", { plan: "billing" });
    await writeLog(repository, "b1", range(0, 50), "full");
    await writeLog(repository, "b2", range(7, 50), "full", { source: "ledger" });
    await repository.sealGap({ ...gap, plan: "billing" });
    const nothing = { fulls: [], closed: [], tails: [], gaps: 0, damaged: [] };
    expect(summary(await repository.sourceLog(SHOP))).toEqual({
      ...nothing,
      fulls: ["0000-0050"],
      tails: ["0000-0100"],
    });
    expect(summary(await repository.sourceLog(billing))).toEqual({
      ...nothing,
      closed: ["0000-0100"],
      tails: ["0100-0200"],
      gaps: 1,
    });
    // The same name, range and token: told, and nothing of the other is taken for one's own.
    const same = repository.putTail({ ...billing, fenceToken: 7 }, range(0, 100), logBytes(0, 100));
    await expect(same).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("that was stored, and whose answer was lost, is the same when it is sent again", async () => {
    const sound = memoryStore(() => NOW);
    await makeRepository(sound);
    let isLost = true;
    const store = {
      ...sound,
      put: async (...args: Parameters<typeof sound.put>) => {
        await sound.put(...args);
        if (isLost && args[0].startsWith("tails/"))
          throw new StillpointError("STORE_UNREACHABLE", { what: "the answer was lost" });
      },
    };
    await using repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW });
    const put = () => repository.putTail(SHOP, range(0, 100), logBytes(0, 100));
    await expect(put()).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    isLost = false;
    await put();
    expect(rangesOf((await repository.sourceLog(SHOP)).tails)).toEqual(["0000-0100"]);
  });

  it("whose bytes were spoilt is named, and keeps nobody from the rest", async () => {
    await using setup = await trial();
    await setup.repository.putTail(SHOP, range(0, 100), logBytes(0, 100));
    await setup.repository.putTail(SHOP, range(100, 200), logBytes(100, 200));
    const name = `tails/orders/${STREAM}/0000-0100-7`;
    const bytes = await setup.store.get(name);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await setup.store.put(name, bytes);
    expect(summary(await setup.repository.sourceLog(SHOP))).toMatchObject({ tails: ["0100-0200"], damaged: [name] });
    expect((await setup.repository.check()).problems.map(({ object }) => object)).toEqual([name]);
  });

  it("that is longer than one may be is refused with what to do", async () => {
    await using setup = await trial();
    const long = setup.repository.putTail(SHOP, range(0, 100), new Uint8Array(16_777_217));
    await expect(long).rejects.toMatchObject({ code: "INVALID_REQUEST", hint: expect.stringContaining("several") });
    expect(await namesIn(setup.store, "tails/")).toEqual([]);
  });

  it("whose range a closed stretch holds is not among what is read", async () => {
    await using setup = await trial();
    for (const [from, to] of [
      [0, 50],
      [50, 100],
      [90, 130],
    ] as const)
      await setup.repository.putTail(SHOP, range(from, to), logBytes(from, to));
    await writeLog(setup.repository, shippedBackupId(SHOP, range(0, 60)), range(0, 60));
    await writeLog(setup.repository, shippedBackupId(SHOP, range(60, 100)), range(60, 100));
    expect(summary(await setup.repository.sourceLog(SHOP))).toMatchObject({
      closed: ["0000-0060", "0060-0100"],
      tails: ["0090-0130"],
    });
  });
});

describe("a gap", () => {
  it("told twice is one, with the first reason; at another place it is another", async () => {
    await using setup = await trial();
    expect(await setup.repository.sealGap(gap)).toEqual(gap);
    const again = { ...gap, why: "told again", at: "2026-01-03T03:04:05.678Z" };
    expect(await setup.repository.sealGap(again)).toEqual(gap);
    const later = { ...gap, after: { stream: STREAM, at: "0300" }, until: { stream: "00000002", at: "0310" } };
    await setup.repository.sealGap(later);
    await using other = await open(setup.store, 0);
    expect((await other.sourceLog(SHOP)).gaps).toEqual(expect.arrayContaining([gap, later]));
    expect(await namesIn(setup.store, "records/")).toHaveLength(2);
    expect((await other.check({ readData: true })).problems).toEqual([]);
  });
});

describe("a check", () => {
  it("names a gap's record that tells of another gap, or of none, and a tail whose head is another's", async () => {
    await using setup = await trial();
    const { ring } = await openKeyRing(setup.store, PASSPHRASE);
    const random = randomFrom("check");
    const put = async (kind: "records" | "tails", id: string, plain: Uint8Array) => {
      await setup.store.put(`${kind}/${id}`, sealObject(kind, id, plain, ring.epochs, random));
      return `${kind}/${id}`;
    };
    const document = (detail: unknown) =>
      Buffer.from(JSON.stringify({ recordId: gapId(gap), type: "gap", at: gap.at, detail }));
    await setup.repository.sealGap({ ...gap, source: "sound" });
    await setup.repository.putTail(SHOP, range(0, 100), logBytes(0, 100));
    const found = async () => (await setup.repository.check()).problems.map(({ object }) => object);
    expect(await found()).toEqual([]);
    const record = await put("records", gapId(gap), document({ ...gap, source: "other" }));
    expect(await found()).toEqual([record]);
    await put("records", gapId(gap), document({ n: 1 }));
    expect(await found()).toEqual([record]);
    const { head } = (await setup.repository.readTail(`orders/${STREAM}/0000-0100-7`)) ?? { head: undefined };
    if (head === undefined) throw new Error("the tail is not there");
    const moved = await put("tails", `orders/${STREAM}/0100-0200-7`, encodeTail(head, logBytes(0, 100)));
    const spoilt = await put("tails", `orders/${STREAM}/0000-0100-7`, encodeTail(head, logBytes(1, 101)));
    expect((await found()).sort()).toEqual([record, spoilt, moved]);
  });
});

describe("on a target that was the primary once", () => {
  it("tails and gaps are refused, and the one that was promoted has what was there", async () => {
    const named = (url: string) => ({ ...memoryStore(() => NOW), url });
    const [first, second] = [named("memory:first"), named("memory:second")];
    await makeRepository(first);
    const openAs = (store: typeof first, target: string) =>
      openRepository(store, { passphrase: PASSPHRASE, threads: 0, now: () => NOW, target });
    await using primary = await openAs(first, "first");
    await primary.putTail(SHOP, range(0, 100), logBytes(0, 100));
    await primary.sealGap(gap);
    await primary.replicas.promote(second, { name: "second", by: "tests" });
    const late = primary.putTail(SHOP, range(100, 200), logBytes(100, 200));
    await expect(late).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await expect(primary.sealGap({ ...gap, source: "other" })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await using promoted = await openAs(second, "second");
    expect(summary(await promoted.sourceLog(SHOP))).toMatchObject({ tails: ["0000-0100"], gaps: 1 });
  });
});

describe("the id of a shipped stretch", () => {
  const long = { plan: "p".repeat(40), source: "s".repeat(40), fenceToken: Number.MAX_SAFE_INTEGER };
  const wide = { stream: "1".repeat(40), from: "2".repeat(40), to: "3".repeat(40) };

  it("is one that every name and range has, another for each of them, and tells whose it is", () => {
    const ids = [
      shippedBackupId(SHOP, range(0, 100)),
      shippedBackupId(SHOP, range(0, 101)),
      shippedBackupId({ ...SHOP, fenceToken: 8 }, range(0, 100)),
      shippedBackupId({ ...SHOP, plan: "billing" }, range(0, 100)),
      shippedBackupId(long, wide),
      shippedBackupId(long, { ...wide, to: "4".repeat(40) }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(backupId.parse(id)).toBe(id);
    expect(ids.map((id) => isOfAnother(id, SHOP))).toEqual([false, false, false, true, true, true]);
    expect(ids.map((id) => isOfAnother(id, long))).toEqual([true, true, true, true, false, false]);
    const captured = "018f0000-0000-7000-8000-000000000001_orders_12_base1";
    expect(isOfAnother(captured, SHOP)).toBe(false);
    expect(isOfAnother(captured, { plan: "shop", source: "graph" })).toBe(true);
    // Of an id of no form that we know, the manifest decides.
    expect(isOfAnother("b1", SHOP)).toBe(false);
  });

  it("of a gap is a record's, and lies with those of the others", () => {
    expect(uuid.parse(gapId(gap))).toMatch(/^00000000-0000-8/);
    expect(gapId({ ...gap, why: "else", at: "2027-01-02T03:04:05.678Z" })).toBe(gapId(gap));
    expect(gapId({ ...gap, until: { stream: STREAM, at: "0200" } })).not.toBe(gapId(gap));
  });
});

describe("a log that somebody waits for", () => {
  /** Counts what is asked of a store, a listing as the pages of 1000 names that it has on S3. */
  function counted(store: ObjectStore) {
    const calls: string[] = [];
    const counting: ObjectStore = {
      ...store,
      async *list(prefix, options) {
        let names = 0;
        for await (const each of store.list(prefix, options)) {
          if (names++ % 1000 === 0) calls.push(`list ${prefix}`);
          yield each;
        }
        if (names === 0) calls.push(`list ${prefix}`);
      },
      get: (name, ...how) => {
        calls.push(`get ${name}`);
        return store.get(name, ...how);
      },
    };
    return { counting, calls };
  }
  const LONG = { plan: "shop", source: "orders", fenceToken: 7 };
  const long = (from: number, to: number) => ({ stream: STREAM, from: wide(from), to: wide(to) });
  const wide = (at: number) => String(at).padStart(6, "0");

  it("of 10 000 objects is looked at in four calls, and what this process stored is not read; all the same it is found", async () => {
    const store = memoryStore(() => NOW);
    await makeRepository(store);
    let nowMs = 0;
    const opened = { passphrase: PASSPHRASE, threads: 0, monotonicMs: () => nowMs };
    const { counting, calls } = counted(store);
    await using repository = await openRepository(counting, opened);
    await using other = await openRepository(store, opened);
    for (let i = 0; i < 10_000; i += 1) await repository.putTail(LONG, long(i, i + 1), logBytes(1, 2));
    const ends = ({ tails }: SourceLog) => tails.map((each) => each.range.to).sort();
    const newest = (log: SourceLog) => ends(log).at(-1);
    const growing = async () => {
      calls.length = 0;
      return await repository.growingLog(SHOP);
    };
    expect(await growing().then(newest)).toBe(wide(10_000));
    expect(calls.filter((call) => call.startsWith("list tails/"))).toHaveLength(10);

    await repository.putTail(LONG, long(10_000, 10_001), logBytes(1, 2));
    const grown = await growing();
    expect(grown.tails).toHaveLength(10_001);
    expect(calls).toHaveLength(4);
    expect(calls.every((call) => call.startsWith("list "))).toBe(true);

    // Of another replica: a flush, a longer one that begins with the last, and a closed stretch.
    await other.putTail({ ...LONG, fenceToken: 8 }, long(10_000, 10_002), logBytes(1, 2));
    await other.putTail({ ...LONG, fenceToken: 8 }, long(10_002, 10_003), logBytes(1, 2));
    await writeLog(other, shippedBackupId(LONG, long(0, 5)), long(0, 5));
    const found = await growing();
    expect(ends(found).slice(-3)).toEqual([wide(10_001), wide(10_002), wide(10_003)]);
    expect(rangesOf(found.closed)).toEqual([`${wide(0)}-${wide(5)}`]);
    expect(calls.filter((call) => call.startsWith("list "))).toHaveLength(4);
    expect(calls).toHaveLength(7);

    // A base lies anywhere among the names, and shows when all was listed again.
    await writeLog(other, "base", long(3, 4), "full");
    expect((await growing()).fulls).toEqual([]);
    expect((await repository.sourceLog(SHOP)).fulls).toHaveLength(1);
    expect((await growing()).fulls).toHaveLength(1);
    await writeLog(other, "later-base", long(3, 4), "full");
    nowMs += 10_000;
    expect((await growing()).fulls).toHaveLength(2);
  });
});
