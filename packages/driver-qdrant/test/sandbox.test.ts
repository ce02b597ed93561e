import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Mark } from "@stillpoint/contracts/point";
import { maxRow, type Query, type QueryRow, storeCheckRow, valueRow } from "@stillpoint/contracts/query";
import type { Sandbox } from "@stillpoint/driver/driver";
import { afterAll, beforeAll, expect, test } from "vitest";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { type Double, finishInto, point, seedCollection, startDouble } from "./double.ts";
import { failures, markRequest } from "./marking.ts";

const resources = new AsyncDisposableStack();
const largest = "18446744073709551615";
const uuids = Array.from({ length: 20 }, () => randomUUID());
let double: Double;
let tree: string;
let mark: Mark;
let sandbox: Sandbox;

/** A server with what Qdrant's collections can be, captured once; one sandbox on it answers nearly every test. */
beforeAll(async () => {
  double = resources.use(await startDouble());
  await seedCollection(double, "numbers", 50);
  // The number would lose its digits in JavaScript's JSON.
  const body = JSON.stringify({ points: [{ ...point(51), id: "ID" }] }).replace('"ID"', largest);
  const headers = { "content-type": "application/json", "api-key": double.server.apiKey };
  const put = await fetch(`${double.server.url}/collections/numbers/points`, { method: "PUT", headers, body });
  expect(put.status).toBe(200);
  await double.call("PUT", "/collections/named.vectors", {
    vectors: { body: { size: 4, distance: "Euclid" }, title: { size: 2, distance: "Dot" } },
    sparse_vectors: { words: {} },
    metadata: { owner: "tests" },
  });
  const named = uuids.map((id, at) => ({
    id,
    vector: { body: [at, 1, 2, 3], title: [at, 1], words: { indices: [at, at + 1], values: [0.5, 0.25] } },
    payload: { id: `n${at}`, price: at / 4, empty: null },
  }));
  await double.call("PUT", "/collections/named.vectors/points", { points: named });
  await double.call("PUT", "/collections/empty", { sparse_vectors: { words: {} } });

  await using capture = await qdrantDriver.open(double.source, double.context(await double.directory("capture")));
  await capture.settle();
  mark = JSON.parse(JSON.stringify(await capture.mark(markRequest())));
  tree = await double.directory("tree");
  await finishInto(capture.finish, tree);
  sandbox = resources.use(await start(mark));
});
afterAll(async () => await resources.disposeAsync());

const runtime = { id: "qdrant-double", version: "1.17.1", arch: process.arch, extensions: [], settings: {} };
async function start(of: Mark, directory = tree, id = runtime.id): Promise<Sandbox> {
  const context = double.context(await double.directory("sandbox"));
  return await qdrantDriver.start({ directory, mark: of, runtime: { ...runtime, id } }, context);
}
const ask = (query: Query): Promise<QueryRow[]> => Array.fromAsync(sandbox.query(query));
const values = async (of: string) =>
  (await ask({ type: "values", id: "v", of })).map((row) => valueRow.parse(row).value);
const max = async (of: string) => (await ask({ type: "max", id: "m", of })).map((row) => maxRow.parse(row).max);
const store = async (of: Sandbox) =>
  (await Array.fromAsync(of.query({ type: "store", id: "s" }))).map((row) => storeCheckRow.parse(row));

test("collections of every kind are as they were at the cut", async () => {
  const checks = await store(sandbox);
  expect(failures(checks)).toEqual([]);
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["aliases", "count empty", "count named.vectors", "payload schema numbers", "status empty"]),
  );
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["nearest neighbours named.vectors", "nearest neighbours numbers"]),
  );
  expect(sandbox.version).toContain("test double");
  expect(sandbox.recovered).toBe("3 collections of 3 shards restored, 1 aliases set");
});

test("values come as text, distinct and in order, ids with all their digits", async () => {
  expect(await values("numbers.id")).toEqual([...Array.from({ length: 50 }, (_, at) => `${at + 1}`), largest].sort());
  expect(await values("named.vectors.id")).toEqual([...uuids].sort());
  expect(await values("numbers-live.payload.tags")).toEqual(["t0", "t1", "t2", "t3", "t4"]);
  expect(await values("named.vectors.payload.empty")).toEqual([]);
});

test("the highest number is found, and none where there is none", async () => {
  expect(await max("numbers.payload.seq")).toEqual([51]);
  expect(await max("named.vectors.payload.price")).toEqual([4.75]);
  expect(await max("named.vectors.payload.id")).toEqual([null]);
  expect(await max("empty.payload.seq")).toEqual([null]);
});

test("a statement and a place that is not there are refused with the reason", async () => {
  await expect(ask({ type: "statement", id: "x", text: "select 1" })).rejects.toMatchObject({
    code: "INVALID_REQUEST",
  });
  await expect(values("nowhere.id")).rejects.toMatchObject({ code: "INVALID_REQUEST", where: "nowhere.id" });
});

test("what differs from the cut is told, each by its own check", async () => {
  const detail: Record<string, never> = JSON.parse(JSON.stringify(mark.detail));
  const numbers: Record<string, unknown> = Object(Reflect.get(Object(detail.collections), "numbers"));
  numbers.payloadSchema = { seq: { dataType: "keyword" } };
  const [first] = Array.from<{ found: { id: string }[] }>(Object(detail.neighbours));
  if (first?.found[0] !== undefined) first.found[0].id = "4711";
  const other: Mark = {
    ...mark,
    counts: { ...mark.counts, numbers: 49, gone: 3 },
    detail: { ...detail, aliases: { "numbers-live": "named.vectors", further: "numbers" } },
  };
  Object(detail.collections).gone = { by: "streams", shards: [0], payloadSchema: {} };
  await using differing = await start(other);
  expect(failures(await store(differing))).toEqual([
    "collections: gone is missing",
    "count numbers: 51 points, 49 at the cut: deleted points came back",
    "count gone: no points, 3 at the cut",
    "payload schema numbers: differs in seq",
    "aliases: further is missing, was numbers; numbers-live is numbers, was named.vectors",
    expect.stringMatching(/^nearest neighbours (numbers|named\.vectors): those of .+ are others than at the cut$/),
  ]);
});

test("a snapshot with a byte missing starts no server, and the reason is told", async () => {
  const file = join(tree, "collections/numbers/shard-0.snapshot");
  const whole = await readFile(file);
  await writeFile(file, whole.subarray(0, whole.byteLength / 2));
  try {
    const started = start(mark);
    await expect(started).rejects.toMatchObject({ code: "SANDBOX_FAILED", where: "numbers, shard 0" });
  } finally {
    await writeFile(file, whole);
  }
});

test("a point of a real server is never loaded into the double, nor anything where no server is", async () => {
  await expect(start(mark, tree, "qdrant-1.17")).rejects.toMatchObject({
    code: "STORE_NOT_INSTALLED",
    where: "qdrant-1.17",
  });
  const context = double.context(await double.directory("sandbox"), { tools: {} });
  const started = qdrantDriver.start({ directory: tree, mark, runtime }, context);
  await expect(started).rejects.toMatchObject({ code: "STORE_NOT_INSTALLED" });
  const never = new AbortController().signal;
  expect(await qdrantDriver.runtimes({}, never)).toEqual([]);
  expect(await qdrantDriver.runtimes({ qdrantCommand: ["echo", "qdrant 1.17.1"] }, never)).toEqual(["qdrant-1.17"]);
});
