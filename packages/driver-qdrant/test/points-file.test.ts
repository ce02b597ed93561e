import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportPoints } from "../src/export-points.ts";
import { formatJson } from "../src/json.ts";
import { loadPoints } from "../src/load-points.ts";
import { parseVerbatim } from "../src/verbatim-json.ts";
import { type Double, seedCollection, startDouble } from "./double.ts";

const resources = new AsyncDisposableStack();
const largest = "18446744073709551615";
let double: Double;
let directory: string;
beforeAll(async () => {
  double = resources.use(await startDouble());
  directory = await double.directory("exports");
  await seedCollection(double, "products", 1_200, { shard_number: 2, on_disk_payload: true });
  await double.call("PUT", "/collections/named", {
    vectors: { title: { size: 2, distance: "Dot" } },
    sparse_vectors: { words: {} },
    strict_mode_config: { enabled: true },
  });
  // Digits that JavaScript would write otherwise, and text that lines are told apart by.
  const exact = `{"points":[
    {"id":${largest},"vector":{"title":[0.1,2.0],"words":{"indices":[1,7],"values":[0.5,0.25]}},
     "payload":{"price":1.0,"big":9007199254740993,"text":"a\\nb\\u2028c","none":null}},
    {"id":"${randomUUID()}","vector":{"title":[1,1]},"payload":{}}]}`;
  const headers = { "content-type": "application/json", "api-key": double.server.apiKey };
  const url = `${double.server.url}/collections/named/points?wait=true`;
  expect((await fetch(url, { method: "PUT", headers, body: exact })).status).toBe(200);
});
afterAll(async () => await resources.disposeAsync());

const context = (signal = new AbortController().signal) => ({ secret: () => new Secret(double.server.apiKey), signal });
const save = (file: string, collections: string[] = []) =>
  exportPoints(double.source, join(directory, file), collections, context(), () => undefined);
const load = (file: string, rename: Record<string, string>, more: { keepAliases?: boolean; stopAt?: number } = {}) => {
  const stop = new AbortController();
  const wishes = {
    collections: Object.keys(rename),
    rename: new Map(Object.entries(rename)),
    keepAliases: more.keepAliases ?? true,
  };
  return loadPoints(double.source, join(directory, file), wishes, context(stop.signal), (points) => {
    if (points >= (more.stopAt ?? Number.POSITIVE_INFINITY)) stop.abort(new Error("killed"));
  });
};
const body = async (name: string): Promise<string> => {
  const headers = { "content-type": "application/json", "api-key": double.server.apiKey };
  const request = { method: "POST", headers, body: '{"limit":5000,"with_payload":true,"with_vector":true}' };
  const text = await (await fetch(`${double.server.url}/collections/${name}/points/scroll`, request)).text();
  const points = parseVerbatim(text.slice(0, text.lastIndexOf(', "status"')).concat("}"));
  // The order of a point's vectors is the engine's whim.
  return formatJson(sorted(points));
};

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) === null) return value;
  const entries = Object.entries(value).map(([key, each]): [string, unknown] => [key, sorted(each)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

test("collections come back point for point, every number with its digits, and the file says that it is fuzzy", async () => {
  const bytes = await save("all");
  const lines = (await readFile(join(directory, "all"), "utf8")).trimEnd().split("\n");
  expect((await readFile(join(directory, "all"))).length).toBe(bytes);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    vectors: 1,
    server: "Qdrant test double 1.17.1",
    consistency: "fuzzy",
  });
  expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ end: { named: 2, products: 1_200 } });
  expect(lines.find((line) => line.includes(largest))).toContain('"price":1.0,"big":9007199254740993');

  expect(await load("all", { named: "n2", products: "p2" }, { keepAliases: false })).toEqual({
    collections: { n2: 2, p2: 1_200 },
    resumed: 0,
  });
  expect(await body("n2")).toBe(await body("named"));
  expect(await body("p2")).toBe(await body("products"));
  const [before, after] = await Promise.all(
    ["products", "p2"].map((name) => double.call("GET", `/collections/${name}`)),
  );
  expect(Object(after).config).toEqual(Object(before).config);
  expect(Object(after).payload_schema).toEqual(Object(before).payload_schema);
  expect(Object(await double.call("GET", "/collections/n2")).config.strict_mode_config).toEqual({ enabled: true });
  const { aliases } = Object(await double.call("GET", "/aliases"));
  expect(aliases).toEqual([{ alias_name: "products-live", collection_name: "p2" }]);
});

test("a load that is broken off is gone on with, and nothing that is there is written over", async () => {
  await save("one", ["products"]);
  await expect(save("one")).rejects.toMatchObject({ code: "CONFLICT", where: join(directory, "one") });
  await expect(load("one", { products: "half" }, { stopAt: 500 })).rejects.toThrow("killed");
  const left = Object(await double.call("GET", "/collections/half"));
  expect(left.points_count).toBe(500);
  expect(await load("one", { products: "half" })).toEqual({ collections: { half: 1_200 }, resumed: 500 });
  expect(await body("half")).toBe(await body("products"));
  await expect(load("one", { products: "half" })).rejects.toMatchObject({ code: "CONFLICT", where: "half" });
});

test("a file that was cut off, of another format or without a point that it counts is not taken for a whole one", async () => {
  await save("whole", ["named"]);
  const lines = (await readFile(join(directory, "whole"), "utf8")).trimEnd().split("\n");
  const kept = async (name: string, of: string[]) => await writeFile(join(directory, name), of.join("\n"));
  await kept("cut", lines.slice(0, -1));
  await expect(load("cut", { named: "x1" })).rejects.toMatchObject({ code: "VERIFICATION_FAILED" });
  await kept("future", [(lines[0] ?? "").replace('"vectors":1', '"vectors":2'), ...lines.slice(1)]);
  await expect(load("future", { named: "x2" })).rejects.toMatchObject({ code: "FORMAT_UNKNOWN" });
  await kept("strange", [...lines.slice(0, -1), '{"something":1}', lines.at(-1) ?? ""]);
  await expect(load("strange", { named: "x3" })).rejects.toMatchObject({ where: '{"something":1}' });
  await kept("short", [...lines.slice(0, 2), ...lines.slice(3)]);
  await expect(load("short", { named: "x4" })).rejects.toMatchObject({ why: "1 of 2 points came in", where: "x4" });
});
