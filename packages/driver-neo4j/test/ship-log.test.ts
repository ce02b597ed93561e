import { appendFile, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { ShipProgress } from "@stillpoint/driver/ship";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { NO_SYSTEM, placeOf, tokenOf } from "../src/log-token.ts";
import { shipLog } from "../src/ship-log.ts";
import { splitTail } from "../src/tail-bytes.ts";
import { createTailCuts } from "../src/tail-cuts.ts";
import { heldLog } from "./held-log.ts";
import { logHeader, transactions } from "./log-bytes.ts";

const TREE = "data/transactions/neo4j";
let directory: TemporaryDirectory;
let logs: string;
let systemLogs: string;
let neostore: string;
let held: ReturnType<typeof heldLog>;
beforeEach(async () => {
  directory = await temporaryDirectory("neo4j-ship");
  logs = join(directory.path, "source");
  neostore = join(directory.path, "neostore");
  systemLogs = join(directory.path, "system");
  await mkdir(logs);
  await mkdir(systemLogs);
  await writeFile(neostore, "");
  await mkdir(join(directory.path, "held"));
  held = heldLog(join(directory.path, "held"), "neo4j");
});
afterEach(async () => await directory[Symbol.asyncDispose]());

const path = (version: number) => join(logs, `neostore.transaction.db.${version}`);
const kept = async (version: number) =>
  await readFile(join(directory.path, `held/${TREE}/neostore.transaction.db.${version}`));
const first = transactions(11, 20);
const second = transactions(21, 30, first.last);
const third = transactions(31, 35, second.last);
const files = {
  3: Buffer.concat([logHeader(3, 10), first]),
  4: Buffer.concat([logHeader(4, 20), second]),
  5: Buffer.concat([logHeader(5, 30), third]),
};

/** Ships what is there, and ends well. */
async function ship(
  committed: number | (() => Promise<number>),
  from: LogPosition | undefined = held.newest,
): Promise<ShipProgress[]> {
  const told: ShipProgress[] = [];
  const asked = typeof committed === "number" ? async () => committed : committed;
  await shipLog(
    { logs, treeDirectory: TREE, systemLogs, neostores: [neostore], committed: asked },
    {
      owner: "test",
      ...(from === undefined ? {} : { from }),
      flushMs: 5,
      retainMostBytes: 1,
      flushSoon: flushAsks().next,
      sink: held.sink,
      progress: (progress) => told.push(progress),
      stop: AbortSignal.abort(),
    },
    { signal: new AbortController().signal, monotonicMs: () => performance.now(), log: () => undefined },
  );
  return told;
}

describe("a position's token", () => {
  test("is of one length, sorts as the bytes follow one another, and is read again", () => {
    const places = [
      { logVersion: 0, offset: 0, system: NO_SYSTEM },
      { logVersion: 0, offset: 128, system: NO_SYSTEM },
      { logVersion: 0, offset: 128, system: { logVersion: 0, offset: 9 } },
      { logVersion: 0, offset: 128, system: { logVersion: 10, offset: 0 } },
      { logVersion: 9, offset: 1, system: NO_SYSTEM },
      { logVersion: 10, offset: 0, system: NO_SYSTEM },
      { logVersion: 0xffffffffffff, offset: 0xfffffffffff, system: { logVersion: 0xffffff, offset: 0xffffffffff } },
    ];
    const tokens = places.map(tokenOf);
    expect(new Set(tokens.map(({ length }) => length))).toEqual(new Set([40]));
    expect([...tokens].sort()).toEqual(tokens);
    expect(tokens.map(placeOf)).toEqual(places);
    const before = "00000000000300000000007b";
    expect(placeOf(before), "of a log without the system database's").toEqual({
      logVersion: 3,
      offset: 123,
      system: NO_SYSTEM,
    });
    for (const wrong of ["", "0/16B3748", `${tokens[0]}0`]) expect(() => placeOf(wrong)).toThrow(/position/);
  });
});

describe("the log of a source", () => {
  test("goes out as the open file grows, and once more as a whole when it is closed", async () => {
    await writeFile(path(3), files[3].subarray(0, -30));
    await ship(19);
    expect(held.tails).toHaveLength(1);
    expect((await kept(3)).length, "half a transaction stays").toBeLessThan(files[3].length - 30);
    await appendFile(path(3), files[3].subarray(-30));
    await ship(20);
    expect(await kept(3)).toEqual(files[3]);
    expect(held.closed).toEqual([]);
    await writeFile(path(4), files[4]);
    await writeFile(path(5), files[5]);
    const [told] = await ship(35);
    expect(held.closed.map(({ from, to }) => [placeOf(from).logVersion, placeOf(to)])).toEqual([
      [3, { logVersion: 4, offset: 0, system: NO_SYSTEM }],
      [4, { logVersion: 5, offset: 0, system: NO_SYSTEM }],
    ]);
    for (const version of [3, 4, 5] as const) expect(await kept(version)).toEqual(files[version]);
    expect(held).toMatchObject({ gaps: [], holes: [] });
    expect(told).toEqual({ held: held.newest, server: held.newest, lagBytes: 0 });
    expect(placeOf(held.newest?.at ?? "")).toEqual({ logVersion: 5, offset: files[5].length, system: NO_SYSTEM });
  });

  test("goes out at once where it is asked for, though no flush is due for an hour", async () => {
    await writeFile(path(3), files[3].subarray(0, -30));
    const [asks, stop, kill] = [flushAsks(), new AbortController(), new AbortController()];
    onTestFinished(() => kill.abort());
    let committed = 19;
    const shipping = shipLog(
      { logs, treeDirectory: TREE, systemLogs, neostores: [neostore], committed: async () => committed },
      {
        owner: "test",
        flushMs: 3_600_000,
        retainMostBytes: 1,
        flushSoon: asks.next,
        sink: held.sink,
        progress: () => undefined,
        stop: stop.signal,
      },
      { signal: kill.signal, monotonicMs: () => performance.now(), log: () => undefined },
    );
    await waitFor("it begins", () => held.tails.length === 1);
    await appendFile(path(3), files[3].subarray(-30));
    committed = 20;
    asks.ask();
    await waitFor("the rest is held", () => held.tails.length === 2);
    expect(await kept(3)).toEqual(files[3]);
    stop.abort();
    await shipping;
  });

  test("begins with the file that is open, where the sink holds nothing", async () => {
    for (const version of [3, 4, 5] as const) await writeFile(path(version), files[version]);
    await ship(35);
    expect(held.tails.map(({ from }) => placeOf(from))).toEqual([{ logVersion: 5, offset: 0, system: NO_SYSTEM }]);
    expect(held.gaps).toEqual([]);
  });

  test("is what was written: the zeros of a file made in advance are not", async () => {
    await writeFile(path(3), Buffer.concat([files[3], Buffer.alloc(1 << 20)]));
    await ship(20);
    expect(await kept(3)).toEqual(files[3]);
  });

  test("is cut into tails of whole transactions, but for one that is longer than a tail", () => {
    const cuts = createTailCuts({ logVersion: 3, offset: 128 }, 1000);
    for (const offset of [400, 700, 1000, 1300, 5000, 5100]) cuts.passed({ logVersion: 3, offset, txId: offset });
    const end = { logVersion: 3, offset: 5100, txId: 1 };
    expect(cuts.take({ logVersion: 3, offset: 128 }, end)).toEqual([1000, 1300, 2300, 3300, 4300, 5000, 5100]);
    expect(cuts.take({ logVersion: 3, offset: 5100 }, end)).toEqual([]);
  });
});

describe("what is not there any more is a gap that is told, and shipping goes on behind it", () => {
  const begun = async () => {
    await writeFile(path(3), files[3].subarray(0, 128 + transactions(11, 14).length));
    await ship(14);
    return held.newest;
  };

  test("a file that was pruned before it was read to its end", async () => {
    const after = await begun();
    await rm(path(3));
    await writeFile(path(4), files[4]);
    await writeFile(path(5), files[5]);
    await ship(35);
    expect(held.gaps).toEqual([
      {
        after,
        until: { stream: after?.stream, at: tokenOf({ logVersion: 4, offset: 0, system: NO_SYSTEM }) },
        why: expect.stringContaining("retention_policy"),
      },
    ]);
    expect(await kept(4)).toEqual(files[4]);
    expect(await kept(5)).toEqual(files[5]);
    await ship(35);
    expect(held.gaps, "told once").toHaveLength(1);
  });

  test("a file in the middle: what lies before it is taken first", async () => {
    await begun();
    await writeFile(path(3), files[3]);
    await writeFile(path(5), files[5]);
    await ship(35);
    expect(await kept(3)).toEqual(files[3]);
    expect(held.gaps).toMatchObject([
      { after: { at: tokenOf({ logVersion: 3, offset: files[3].length, system: NO_SYSTEM }) } },
    ]);
    expect(await kept(5)).toEqual(files[5]);
  });

  test("a closed file that is damaged", async () => {
    await begun();
    const damaged = Buffer.from(files[4]);
    damaged[400] = (damaged[400] ?? 0) ^ 1;
    for (const [version, bytes] of [
      [3, files[3]],
      [4, damaged],
      [5, files[5]],
    ] as const) {
      await writeFile(path(version), bytes);
    }
    await ship(35);
    expect(held.gaps).toMatchObject([{ until: { at: tokenOf({ logVersion: 5, offset: 0, system: NO_SYSTEM }) } }]);
    expect(await kept(3)).toEqual(files[3]);
    expect(await kept(5)).toEqual(files[5]);
  });

  test("a log that went back behind what the sink holds", async () => {
    await begun();
    await truncate(path(3), 128 + transactions(11, 12).length);
    await ship(12);
    expect(held.gaps).toHaveLength(1);
    expect(held.gaps[0]).not.toHaveProperty("until");
    await writeFile(path(3), Buffer.concat([logHeader(3, 10), transactions(11, 19, 0xdead5eed, 71)]));
    await ship(19);
    expect(held.gaps, "another history stands at the same bytes").toHaveLength(2);
    expect(await kept(3)).toEqual(await readFile(path(3)));
  });

  test("another store, and the same one on other files", async () => {
    const before = await begun();
    await rm(neostore);
    await writeFile(neostore, "");
    await ship(14);
    expect(held.gaps).toMatchObject([{ after: before, why: expect.stringContaining("restored") }]);
    await writeFile(path(3), Buffer.concat([logHeader(3, 10, Buffer.alloc(64, 9)), first]));
    await ship(20);
    expect(held.gaps).toHaveLength(2);
    expect(new Set(held.tails.map(({ stream }) => stream)).size).toBe(3);
  });
});

describe("the log of users and rights", () => {
  const systemPath = (version: number) => join(systemLogs, `neostore.transaction.db.${version}`);
  const keptOfSystem = async (version: number) =>
    await readFile(join(directory.path, `held/data/transactions/system/neostore.transaction.db.${version}`));
  const older = Buffer.concat([logHeader(0, 1), transactions(2, 5)]);
  const newer = transactions(6, 7, transactions(2, 5).last);

  test("goes with the database's own, and by itself where that does not grow", async () => {
    await writeFile(path(3), files[3].subarray(0, 128 + transactions(11, 14).length));
    await writeFile(systemPath(0), older);
    await ship(14);
    expect(held.tails).toHaveLength(1);
    expect(await keptOfSystem(0)).toEqual(older);
    await appendFile(systemPath(0), newer);
    await ship(14);
    expect(await keptOfSystem(0)).toEqual(Buffer.concat([older, newer]));
    expect(held.tails).toHaveLength(2);
    await writeFile(path(3), files[3]);
    await ship(20);
    expect(await kept(3)).toEqual(files[3]);
    expect(held).toMatchObject({ gaps: [], holes: [] });
    expect(placeOf(held.newest?.at ?? "").system).toEqual({ logVersion: 0, offset: older.length + newer.length });
    const shipped = held.tails.length;
    await ship(20);
    expect(held.tails, "nothing is sent twice").toHaveLength(shipped);
  });

  test("is in a closed file's stretch, as far as the tails were that it stands for", async () => {
    await writeFile(path(3), files[3].subarray(0, 128 + transactions(11, 14).length));
    await writeFile(systemPath(0), older);
    await ship(14);
    await writeFile(path(3), files[3]);
    await writeFile(path(4), files[4]);
    await rm(join(directory.path, "held/data/transactions/system"), { recursive: true });
    await ship(30);
    expect(held.closed.map(({ to }) => placeOf(to))).toEqual([
      { logVersion: 4, offset: 0, system: { logVersion: 0, offset: older.length } },
    ]);
    expect(await keptOfSystem(0)).toEqual(older);
  });

  test("is shipped no less far than a database's log that was written behind it", async () => {
    await writeFile(path(3), files[3].subarray(0, 128 + transactions(11, 14).length));
    await writeFile(systemPath(0), older);
    await ship(14);
    await ship(async () => {
      // A user is made, and a transaction behind that, while the shipper looks for the transaction.
      void wait(20).then(async () => {
        await appendFile(systemPath(0), newer);
        await writeFile(path(3), files[3]);
      });
      return 20;
    });
    expect(placeOf(held.newest?.at ?? "")).toEqual({
      logVersion: 3,
      offset: files[3].length,
      system: { logVersion: 0, offset: older.length + newer.length },
    });
  });

  test("goes with the first of several tails, and with the last again", async () => {
    await writeFile(path(3), logHeader(3, 10));
    await writeFile(systemPath(0), older);
    await ship(10);
    const { at: from } = held.newest ?? { at: "" };
    await appendFile(path(3), transactions(11, 16, undefined, 2_000_000));
    await appendFile(systemPath(0), newer);
    await ship(16);
    const tails = held.tails.filter((range) => range.from >= from);
    expect(tails.length).toBeGreaterThan(2);
    const whole = { logVersion: 0, offset: older.length + newer.length };
    expect(tails.map(({ to }) => placeOf(to).system)).toEqual(tails.map(() => whole));
    const carried = tails.map((range) => splitTail(range, held.bytesOf(range)).system?.bytes);
    expect(carried[0]?.equals(newer), "a point in between needs it").toBe(true);
    expect(carried.at(-1)?.equals(newer), "so does a base in between").toBe(true);
    expect(await keptOfSystem(0)).toEqual(Buffer.concat([older, newer]));
  });

  test("may begin another file, and may have lost one: the database's own goes on", async () => {
    await writeFile(path(3), files[3]);
    await writeFile(systemPath(0), older);
    await ship(20);
    await appendFile(systemPath(0), newer);
    await writeFile(systemPath(1), Buffer.concat([logHeader(1, 7), transactions(8, 9, newer.last)]));
    await ship(20);
    expect(await keptOfSystem(0)).toEqual(Buffer.concat([older, newer]));
    expect(await keptOfSystem(1)).toEqual(await readFile(systemPath(1)));
    await rm(systemPath(0));
    await rm(systemPath(1));
    await writeFile(systemPath(4), Buffer.concat([logHeader(4, 19), transactions(20, 22)]));
    await writeFile(path(4), files[4]);
    await ship(30);
    expect(await kept(4)).toEqual(files[4]);
    expect(await keptOfSystem(4)).toEqual(await readFile(systemPath(4)));
    expect(held.gaps).toEqual([]);
  });
});

describe("what the log cannot tell", () => {
  test("a directory that does not show what the server committed is refused", async () => {
    await writeFile(path(3), files[3]);
    await expect(ship(21)).rejects.toMatchObject({ code: "SOURCE_CHANGED", hint: expect.stringContaining("copy") });
    expect(await kept(3), "what it shows is taken").toEqual(files[3]);
  });

  test("a server that is gone leaves what it wrote: it is taken, then the loss is told", async () => {
    await writeFile(path(3), files[3]);
    const gone = new StillpointError("SOURCE_LOST", { what: "gone" });
    const options = {
      owner: "",
      flushMs: 5,
      retainMostBytes: 1,
      flushSoon: flushAsks().next,
      sink: held.sink,
      progress: () => undefined,
    };
    const context = {
      signal: new AbortController().signal,
      monotonicMs: () => performance.now(),
      log: () => undefined,
    };
    const shipping = shipLog(
      {
        logs,
        treeDirectory: TREE,
        systemLogs,
        neostores: [neostore],
        committed: async () => await Promise.reject(gone),
      },
      { ...options, stop: new AbortController().signal },
      context,
    );
    await expect(shipping).rejects.toMatchObject({ code: "SOURCE_LOST" });
    expect(await kept(3)).toEqual(files[3]);
  });

  test("a sink that fails ends it with the sink's own word", async () => {
    for (const version of [3, 4] as const) await writeFile(path(version), files[version]);
    held.newest = undefined;
    await ship(30);
    await writeFile(path(5), files[5]);
    held.sink.closed = async (_, write) => {
      await write({ add: async () => ({ torn: false }), covers: async () => undefined });
      throw new StillpointError("SOURCE_CHANGED", { what: "no room" });
    };
    await expect(ship(35)).rejects.toMatchObject({ what: "no room" });
    expect(held.gaps).toEqual([]);
  });
});
