import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { qdrantSource } from "@stillpoint/contracts/source";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";
import { ownQdrantDouble } from "@stillpoint/testkit/qdrant";
import { expect, it } from "vitest";
import { errorOf, POINT_ID, type SourceUnderTest, startExport } from "./export-fixture.ts";

const POINTS = 2_000;
/** Of the day that the fixture's point is of. */
const NEW = "products-20260102T030405678Z";

/** Payloads that no compression makes small, so that what is stored says what was found to be there already. */
function points(from: number, count: number) {
  return Array.from({ length: count }, (_, at) => {
    const id = from + at;
    return {
      id,
      vector: [Math.sin(id), Math.cos(id)],
      payload: { seq: id, text: randomBytes(6_000).toString("base64") },
    };
  });
}

it("a point goes from the repository into a server that runs, and a second one stores little more than what changed", async () => {
  await using bench = await startExport();
  await using server = await ownQdrantDouble();
  bench.environment.QDRANT_KEY = server.apiKey;
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: { "api-key": server.apiKey, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(response.status, `${method} ${path}`).toBe(200);
    return Object(await response.json()).result;
  };
  const count = async (name: string) =>
    (await call("POST", `/collections/${name}/points/count`, { exact: true })).count;
  await call("PUT", "/collections/products", { vectors: { size: 2, distance: "Dot" } });
  for (let from = 1; from <= POINTS; from += 500)
    await call("PUT", "/collections/products/points?wait=true", { points: points(from, 500) });
  await call("POST", "/collections/aliases", {
    actions: [{ create_alias: { alias_name: "live", collection_name: "products" } }],
  });
  // The driver's type is of its own kind of source; what is done with both goes together.
  const source = {
    name: "vectors",
    driver: qdrantDriver,
    spec: qdrantSource.parse({ kind: "qdrant", url: server.url, apiKey: "${env:K}" }),
    secret: server.apiKey,
  } as unknown as SourceUnderTest;
  const first = await bench.seal([source]);

  // One in a hundred is another one: the repository holds the rest already.
  await call("PUT", "/collections/products/points?wait=true", { points: points(1_000, POINTS / 100) });
  const second = await bench.seal([source], POINT_ID.replace(/1$/, "2"), "2026-01-03T03:04:05.678Z");
  const [whole, more] = [first, second].map(({ sources }) => sources[0]?.storedBytes ?? 0) as [number, number]; // two
  expect(more).toBeLessThan(whole / 5);

  const into = ["--source", "vectors", "--into", server.url, "--api-key", "${env:QDRANT_KEY}"];
  const restore = (...words: string[]) => bench.stillpoint(["restore", POINT_ID, ...into, ...words]);
  expect(await restore("--dry-run")).toContain("nothing was changed");
  expect(bench.heard.join("\n")).toContain(`products → ${NEW} is made`);
  expect(bench.heard.join("\n")).toContain(`alias live: products → ${NEW}`);
  expect((await call("GET", "/collections")).collections).toEqual([{ name: "products" }]);

  await call("POST", "/collections/products/points/delete?wait=true", { points: [1, 2, 3] });
  expect(await restore()).toMatch(new RegExp(`^restored ${NEW} in .+: \\d+ checks passed\n$`));
  expect([await count("live"), await count(NEW), await count("products")]).toEqual([POINTS, POINTS, POINTS - 3]);
  expect(await readdir(bench.work)).toEqual([]);

  await call("DELETE", `/collections/${NEW}`);
  expect(await restore("--in-place", "--json")).toContain('"products": "products"');
  expect(await count("products")).toBe(POINTS);
  expect((await call("GET", "/aliases")).aliases).toEqual([{ alias_name: "live", collection_name: "products" }]);

  const file = join(bench.directory, "points");
  const at = ["--url", server.url, "--api-key", "${env:QDRANT_KEY}"];
  await bench.stillpoint(["vectors", "export", file, ...at], []);
  const loaded = await bench.stillpoint(["vectors", "load", file, ...at, "--rename", "products=copy"], []);
  expect(loaded).toBe(`copy: ${POINTS} points\n`);
  expect(await count("live")).toBe(POINTS);

  for (const words of [
    ["--to", "/x"],
    ["--at", "latest"],
    ["--rename", "products"],
  ])
    expect(await errorOf(restore(...words))).toMatchObject({ code: "INVALID_REQUEST" });
  const key = await errorOf(bench.stillpoint(["restore", "--into", server.url, "--api-key", server.apiKey]));
  expect(key).toMatchObject({ code: "INVALID_REQUEST", where: "--api-key" });
  expect(String(key) + JSON.stringify(key)).not.toContain(server.apiKey);
});
