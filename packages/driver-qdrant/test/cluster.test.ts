import { randomUUID } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import { qdrantSource } from "@stillpoint/contracts/source";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect } from "../src/cluster.ts";
import { exactCounts } from "../src/counts.ts";
import { openAll } from "../src/fenced-mark.ts";
import { writeFixed } from "../src/finish.ts";
import { toMark } from "../src/fixed.ts";
import { readInventory } from "../src/inventory.ts";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { snapshotKeeper } from "../src/snapshot-keeper.ts";
import { type Double, seedCollection, startDouble } from "./double.ts";
import { failures, markRequest, rehearse } from "./marking.ts";

const resources = new AsyncDisposableStack();
const never = new AbortController().signal;
let cluster: Double;
beforeAll(async () => {
  cluster = resources.use(await startDouble({ peers: 3 }));
});
afterAll(async () => await resources.disposeAsync());
afterEach(async () => {
  const { collections } = Object(await cluster.call("GET", "/collections"));
  for (const { name } of collections) await cluster.call("DELETE", `/collections/${name}`);
});

const open = async (source = cluster.source, monotonicMs = () => performance.now()) =>
  await qdrantDriver.open(source, cluster.context(await cluster.directory("capture"), { monotonicMs }));
const remove = (points: number[]) => cluster.call("POST", "/collections/wide/points/delete", { points });
const snapshots = (url: string) => cluster.call("GET", "/collections/wide/snapshots", undefined, url);
const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => String(from + at)).sort();

test("every shard is read from a peer that holds it, and a server that is alone has all of them again", async () => {
  await seedCollection(cluster, "wide", 90, { shard_number: 5 });
  await seedCollection(cluster, "twice", 20, { shard_number: 2, replication_factor: 2 });
  await cluster.call("POST", "/double/collections/twice/replica", { shard: 1, peer: 2, state: "Dead" });
  await using capture = await open();
  await capture.settle();
  const mark = await capture.mark(markRequest());
  expect(mark).toMatchObject({ counts: { wide: 90, twice: 20 }, position: "7 shards streamed, 110 points" });
  const { checks, values } = await rehearse(cluster, capture.finish, mark, ["wide.id", "twice.payload.seq"]);
  expect(failures(checks)).toEqual([]);
  expect(values.get("wide.id")).toEqual(ids(1, 90));
  expect(values.get("twice.payload.seq")).toEqual(ids(1, 20));
});

test("where an optimization does not end, each peer makes a snapshot of its shards, and no delete is missing", async () => {
  await seedCollection(cluster, "wide", 60, { shard_number: 4 });
  let readings = 0;
  await using capture = await open(cluster.source, () => {
    readings += 1;
    return readings * 10_000;
  });
  await cluster.call("POST", "/double/collections/wide/optimization", {});
  await remove([1, 2, 3, 4, 5, 6]);
  const mark = await capture.mark(markRequest());
  expect(mark).toMatchObject({ counts: { wide: 54 }, position: "3 collection snapshots, 54 points" });
  const { checks, values } = await rehearse(cluster, capture.finish, mark, ["wide.id"]);
  expect(failures(checks)).toEqual([]);
  expect(values.get("wide.id")).toEqual(ids(7, 60));
  await capture[Symbol.asyncDispose]();
  for (const url of cluster.urls) expect(await snapshots(url)).toEqual([]);
});

test("without the gate deletes come back in any of the shards, and the count of the proof fails", async () => {
  await seedCollection(cluster, "wide", 60, { shard_number: 3 });
  await cluster.call("POST", "/double/collections/wide/optimization", {});
  await remove([1, 2, 3, 4, 5, 6]);
  const peers = connect(cluster.source, new Secret(cluster.server.apiKey));
  const inventory = await readInventory(peers, never);
  const counts = await exactCounts(peers[0], ["wide"], never);
  const keeper = snapshotKeeper(() => undefined);
  const marking = { peers, keeper, probes: [], budgetMs: 20_000, monotonicMs: () => performance.now(), signal: never };
  const fixed = {
    inventory,
    counts,
    ...(await openAll(marking, inventory, new Set(), never)),
    gateMs: 0,
    openMs: 0,
    notes: [],
  };
  const finish = (tree: TreeWriter) => writeFixed(fixed, tree, { mtimeMs: 0, signal: never });
  const { checks } = await rehearse(cluster, finish, toMark(randomUUID(), fixed));
  expect(failures(checks)).toEqual(["count wide: 60 points, 54 at the cut: deleted points came back"]);
});

test("peers that do not hold every shard are refused, and one without shards is no empty collection", async () => {
  await seedCollection(cluster, "wide", 30, { shard_number: 2 });
  const [first = "", second = "", third = ""] = cluster.urls;
  const source = (url: string, peers: string[]) => qdrantSource.parse({ ...cluster.source, url, peers });
  await expect(open(source(third, []))).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    where: "wide",
    why: "the peers that are named hold 0 of its 2 shards as active replicas; there is shard 0 on peer 1 (Active), shard 1 on peer 2 (Active)",
    hint: expect.stringContaining("peers"),
  });
  await expect(open(source(first, [third]))).rejects.toMatchObject({
    why: expect.stringContaining("1 of its 2 shards"),
  });
  await using whole = await open(source(third, [first, second]));
  expect((await whole.mark(markRequest())).counts).toEqual({ wide: 30 });
  await whole[Symbol.asyncDispose]();
  await cluster.call("POST", "/double/collections/wide/replica", { shard: 1, peer: 2, state: "Dead" });
  await expect(open()).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    why: expect.stringContaining("1 of its 2"),
  });
});

test("an address that answers for a peer which is named already is refused: a load balancer's", async () => {
  const [first = ""] = cluster.urls;
  const twice = qdrantSource.parse({ ...cluster.source, url: first, peers: [first.replace("127.0.0.1", "localhost")] });
  await expect(open(twice)).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    why: "two addresses are answered by one peer",
  });
});
