import { randomUUID } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import { qdrantSource } from "@stillpoint/contracts/source";
import type { Capture } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { parseBaseUrl } from "../src/base-url.ts";
import { exactCounts } from "../src/counts.ts";
import { type Marking, openAll } from "../src/fenced-mark.ts";
import { writeFixed } from "../src/finish.ts";
import { toMark } from "../src/fixed.ts";
import { readInventory } from "../src/inventory.ts";
import { markDetail } from "../src/mark-detail.ts";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { qdrantServer } from "../src/server.ts";
import { openShardStream } from "../src/shard-stream.ts";
import { snapshotKeeper } from "../src/snapshot-keeper.ts";
import { cuttingProxy } from "./cutting-proxy.ts";
import { type Double, finishInto, seedBulk, seedCollection, startDouble } from "./double.ts";
import { failures, markRequest, rehearse, writer } from "./marking.ts";

const resources = new AsyncDisposableStack();
const never = new AbortController().signal;
let double: Double;
let collection: string;
let tests = 0;
beforeAll(async () => {
  double = resources.use(await startDouble());
});
afterAll(async () => await resources.disposeAsync());

beforeEach(async () => {
  tests += 1;
  collection = `c${tests}`;
  await seedCollection(double, collection, 100);
});
afterEach(async () => {
  const faults = { fix_delay_ms: 0, manifest_first: false, truncate_after_bytes: null };
  await double.call("POST", "/double/faults", { ...faults, hide_optimizations: false, snapshot_delay_ms: 0 });
  await endOptimization();
  // All, so that a test that failed leaves nothing to the next one.
  const { collections } = Object(await double.call("GET", "/collections"));
  for (const { name } of collections) await double.call("DELETE", `/collections/${name}`);
});

async function open(more: Parameters<Double["context"]>[1] = {}): Promise<Capture> {
  return await qdrantDriver.open(double.source, double.context(await double.directory("capture"), more));
}
const optimize = (durationMs?: number) =>
  double.call("POST", `/double/collections/${collection}/optimization`, durationMs === undefined ? {} : { durationMs });
const endOptimization = () => double.call("DELETE", `/double/collections/${collection}/optimization`);
/** Waits, as the capture sees them, pass in no time; the budget itself is kept by the real clock. */
const hurried = () => {
  let readings = 0;
  return () => {
    readings += 1;
    return readings * 10_000;
  };
};
const remove = (points: number[]) =>
  double.call("POST", `/collections/${collection}/points/delete?wait=true`, { points });
const statusOf = async (name = collection) => Object(await double.call("GET", `/collections/${name}`)).status;
const server = () => qdrantServer(parseBaseUrl(double.server.url), new Secret(double.server.apiKey));
const marking = (): Marking => ({
  peers: [server()],
  keeper: snapshotKeeper(() => undefined),
  probes: [],
  budgetMs: 20_000,
  monotonicMs: () => performance.now(),
  signal: never,
});

test("a restore holds what was acknowledged before the mark and nothing that was written after it", async () => {
  // Content that is fixed long after the headers came tells a mark that waits for segments from one that does not.
  await double.call("POST", "/double/faults", { fix_delay_ms: 150, manifest_first: true });
  await using capture = await open();
  await capture.settle();
  await using before = writer(double, collection, 101);
  await waitFor("points are written before the mark", () => before.written() > 120);
  await before.stop();
  // Neighbours are recorded only where the server finds them in a fraction of a second.
  const mark = await waitFor("a mark has neighbours", async () => {
    const taken = await capture.mark(markRequest());
    return markDetail.parse(taken.detail).neighbours.length > 0 && taken;
  });
  await using after = writer(double, collection, before.written() + 1);
  await waitFor("points are written after the mark", () => after.written() > before.written() + 20);
  const { checks, values } = await rehearse(double, capture.finish, mark, [
    `${collection}.id`,
    `${collection}-live.payload.seq`,
  ]);
  await after.stop();

  expect(failures(checks)).toEqual([]);
  expect(mark).toMatchObject({ counts: { [collection]: before.written() } });
  expect(mark.fuzzy).toBeUndefined();
  const expected = Array.from({ length: before.written() }, (_, at) => String(at + 1)).sort();
  expect(values.get(`${collection}.id`)).toEqual(expected);
  expect(values.get(`${collection}-live.payload.seq`)).toEqual(expected);
  expect(checks.map(({ name }) => name)).toContain(`nearest neighbours ${collection}`);
});

test("deletes that were acknowledged while an optimization ran stay deleted behind the gate", async () => {
  await using capture = await open();
  await optimize(600);
  await remove([1, 2, 3]);
  const mark = await capture.mark(markRequest());
  expect(mark.counts).toEqual({ [collection]: 97 });
  const { checks, values } = await rehearse(double, capture.finish, mark, [`${collection}.id`]);
  expect(failures(checks)).toEqual([]);
  expect(values.get(`${collection}.id`)).toHaveLength(97);
});

test("without the gate they come back, and the count of the proof fails", async () => {
  await optimize();
  await remove([1, 2, 3]);
  const inventory = await readInventory([server()], never);
  const counts = await exactCounts(server(), [collection], never);
  const opened = await openAll(marking(), inventory, new Set(), never);
  const fixed = { inventory, counts, ...opened, gateMs: 0, openMs: 0, notes: [] };
  const finish = (tree: TreeWriter) => writeFixed(fixed, tree, { mtimeMs: 0, signal: never });
  const { checks, values } = await rehearse(double, finish, toMark(randomUUID(), fixed), [`${collection}.id`]);
  expect(values.get(`${collection}.id`)).toHaveLength(100);
  expect(failures(checks)).toEqual([`count ${collection}: 100 points, 97 at the cut: deleted points came back`]);
});

test("an optimization that does not end in time is got around by a snapshot that the server makes", async () => {
  await using capture = await open({ monotonicMs: hurried() });
  await optimize();
  await remove([1, 2, 3]);
  const mark = await capture.mark(markRequest());
  expect(mark.detail).toMatchObject({ collections: { [collection]: { by: "snapshot" } } });
  expect(mark.notes).toEqual([expect.stringContaining("an optimization did not end in time")]);
  const { checks } = await rehearse(double, capture.finish, mark);
  expect(failures(checks)).toEqual([]);
  await capture[Symbol.asyncDispose]();
  expect(await double.call("GET", `/collections/${collection}/snapshots`)).toEqual([]);
});

test("where its size does not allow that, the cut is given up and can be tried again", async () => {
  await using capture = await open();
  await optimize();
  // A busy machine may take the whole of so small a budget for its first questions: then it says so, and is asked again.
  await waitFor("a cut is given up for the optimization", async () => {
    const given = await capture.mark(markRequest({ budgetMs: 400 })).catch((error: unknown) => error);
    expect(given).toMatchObject({ code: "CUT_VOID", retry: "backoff" });
    return String(Object(given).why).includes(`still runs on ${collection}`);
  });
  await endOptimization();
  expect((await capture.mark(markRequest())).counts).toEqual({ [collection]: 100 });
});

test("a server without a list of optimizations is waited for until its status is green", async () => {
  await double.call("POST", "/double/faults", { hide_optimizations: true });
  await using capture = await open();
  await optimize(500);
  await remove([1, 2, 3]);
  const mark = await capture.mark(markRequest());
  const { checks } = await rehearse(double, capture.finish, mark);
  expect(failures(checks)).toEqual([]);
  expect(mark.detail).toMatchObject({ collections: { [collection]: { by: "streams" } } });
});

test("settling waits until no optimization runs, and says that it does", async () => {
  const said = Promise.withResolvers<void>();
  await using capture = await open({
    log: (line) => {
      if (line === "waiting for optimizations to end") said.resolve();
    },
  });
  await optimize();
  let isSettled = false;
  const settled = capture.settle().finally(() => {
    isSettled = true;
  });
  await Promise.race([said.promise, settled]);
  expect(isSettled).toBe(false);
  await endOptimization();
  await settled;
  expect(await statusOf()).toBe("green");
});

test("a stream that ends cleanly in the middle is discarded, wherever it ends", async () => {
  await using capture = await open();
  await capture.mark(markRequest());
  const whole = await double.directory("whole");
  await finishInto(capture.finish, whole);
  for (const bytes of [8_000, 40_000]) {
    await double.call("POST", "/double/faults", { truncate_after_bytes: bytes });
    await capture.mark(markRequest());
    const finished = finishInto(capture.finish, await double.directory("torn"));
    await expect(finished).rejects.toMatchObject({ code: "SOURCE_LOST", retry: "backoff" });
  }
});

test("a stream whose connection breaks in the middle is discarded, and the next one is whole", async () => {
  // Held back by the proxy: how much the machine's sockets would take of a stream that nobody reads is its own affair.
  await using proxy = await cuttingProxy(Number(new URL(double.server.url).port), { holdAfterBytes: 100_000 });
  const source = qdrantSource.parse({ ...double.source, url: `http://127.0.0.1:${proxy.port}` });
  await using capture = await qdrantDriver.open(source, double.context(await double.directory("capture")));
  await seedBulk(double, "bulk");
  await capture.mark(markRequest());
  proxy.cut();
  const finished = finishInto(capture.finish, await double.directory("torn"));
  await expect(finished).rejects.toMatchObject({ code: "SOURCE_LOST" });
  await capture.mark(markRequest());
  await finishInto(capture.finish, await double.directory("whole"));
});

test("a stream that nobody reads is closed before the next mark asks for the shard", async () => {
  await seedBulk(double, "bulk");
  await using capture = await open();
  await capture.mark(markRequest());
  expect(await statusOf("bulk"), "it holds the shard").toBe("yellow");
  await capture.mark(markRequest());
  await finishInto(capture.finish, await double.directory("whole"));
});

test("a shard that somebody else's stream holds voids the cut within its budget, and no stream stays open", async () => {
  await seedBulk(double, "bulk");
  await using capture = await open();
  await using leftOpen = new AsyncDisposableStack();
  const held = await openShardStream(server(), "bulk", 0, never);
  leftOpen.defer(() => held.close());
  // A busy machine may not get as far as the streams within it.
  await waitFor("a cut is void for the stream", async () => {
    const given = await capture.mark(markRequest({ budgetMs: 1_000 })).catch((error: unknown) => error);
    expect(given).toMatchObject({ code: "CUT_VOID" });
    return String(Object(given).why).includes("opening the streams");
  });
  await waitFor("its other stream is closed", async () => (await statusOf()) === "green");
  await held.close();
  const mark = await capture.mark(markRequest());
  expect(mark).toMatchObject({ counts: { [collection]: 100, bulk: 1500 }, position: "2 shards streamed, 1600 points" });
  expect(failures((await rehearse(double, capture.finish, mark)).checks)).toEqual([]);
});

test("with writers running, one shard is at one moment and several are fuzzy, by snapshots that are deleted again", async () => {
  await using capture = await open();
  await capture.settle();
  await using running = writer(double, collection, 101);
  await waitFor("points are written", () => running.written() > 110);
  const acknowledged = running.written();
  const mark = await capture.mark(markRequest({ fenced: false }));
  expect(mark.fuzzy).toBeUndefined();
  expect(mark.counts).toBeUndefined();
  const { checks, values } = await rehearse(double, capture.finish, mark, [`${collection}.id`]);
  await running.stop();
  expect(failures(checks)).toEqual([]);
  const ids = (values.get(`${collection}.id`) ?? []).map(Number).sort((a, b) => a - b);
  expect(ids.length).toBeGreaterThanOrEqual(acknowledged);
  expect(ids, "a true moment has no holes").toEqual(ids.map((_, at) => at + 1));

  await seedCollection(double, "second", 10);
  const several = await capture.mark(markRequest({ fenced: false }));
  expect(several.fuzzy).toMatch(/2 shards of 2 collections, each at a moment of its own within \d+ ms/);
  await capture[Symbol.asyncDispose]();
  expect(await double.call("GET", `/collections/${collection}/snapshots`)).toEqual([]);
  expect(await double.call("GET", "/collections/second/snapshots")).toEqual([]);
});

test("a snapshot that comes too late for its cut is deleted all the same", async () => {
  await double.call("POST", "/double/faults", { snapshot_delay_ms: 800 });
  const capture = await open();
  await expect(capture.mark(markRequest({ fenced: false, budgetMs: 300 }))).rejects.toMatchObject({ code: "CUT_VOID" });
  await capture[Symbol.asyncDispose]();
  expect(await double.call("GET", `/collections/${collection}/snapshots`)).toEqual([]);
});

test("a wrong key is denied before anything is done, and is in no error", async () => {
  const secret = () => new Secret("wrong-key-of-nobody");
  const opened = open({ secret });
  await expect(opened).rejects.toMatchObject({ code: "SOURCE_DENIED", hint: expect.stringContaining("apiKey") });
  const error = await opened.catch((reason: unknown) => reason);
  expect(JSON.stringify(error) + String(error)).not.toContain("wrong-key-of-nobody");
});

test("a mark that its run cancels lets go of the server at once", async () => {
  const stop = new AbortController();
  await optimize();
  let readings = 0;
  const monotonicMs = () => {
    readings += 1;
    return performance.now();
  };
  await using capture = await open({ signal: stop.signal, monotonicMs });
  const marking = capture.mark(markRequest({ budgetMs: 600_000 }));
  marking.catch(() => undefined); // it is looked at below
  await waitFor("the mark waits, looking at the clock", () => readings > 3);
  stop.abort(new Error("the run was cancelled"));
  await expect(marking).rejects.toThrow("the run was cancelled");
});
