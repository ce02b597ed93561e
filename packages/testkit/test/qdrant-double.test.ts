import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { QdrantServer } from "@stillpoint/parts/qdrant-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { ownQdrantDouble } from "../src/qdrant.ts";
import { digest, expected, fixtures, type Json } from "../src/qdrant-fixtures.ts";

const resources = new AsyncDisposableStack();
let server: QdrantServer & { readonly dir: string };
beforeAll(async () => {
  server = resources.use(await ownQdrantDouble());
});
afterAll(async () => await resources.disposeAsync());

const json: z.ZodType<Json> = z.json();

async function ask(
  method: string,
  path: string,
  body?: Json | FormData,
): Promise<{ status: number; result: Json; error: string }> {
  const isForm = body instanceof FormData;
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { "api-key": server.apiKey, ...(isForm ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
  const answer = z.object({ result: json.optional(), status: z.unknown() }).parse(await response.json());
  const { error = "" } = z.object({ error: z.string() }).partial().catch({}).parse(answer.status);
  return { status: response.status, result: answer.result ?? null, error };
}

async function upload(path: string, file: string) {
  const form = new FormData();
  form.set("snapshot", await openAsBlob(file), "snapshot.tar");
  return await ask("POST", path, form);
}

const SHARDS = { products: [0], notes: [0], clustered: [0, 1, 2] };
const LATE = { products: Array(32).fill(0.5), notes: {}, clustered: Array(4).fill(0.5) };
const QUERIES = {
  products: { query: Array.from({ length: 32 }, (_, at) => Math.sin(at + 1)) },
  notes: { query: Array.from({ length: 8 }, (_, at) => Math.sin(at + 1)), using: "title" },
  clustered: { query: Array.from({ length: 4 }, (_, at) => Math.sin(at + 1)) },
};

describe.each(["products", "notes", "clustered"] as const)("the Qdrant double, with %s of a server 1.17.1", (name) => {
  const of = expected.collections[name];
  const matches = async (collection: string) => {
    expect(await digest(server, collection)).toEqual({ points: of?.points, sha256: of?.sha256 });
    const info = await ask("GET", `/collections/${collection}`);
    expect(info.result).toMatchObject({ points_count: of?.points, status: "green" });
    const { payload_schema } = z.object({ payload_schema: z.record(z.string(), json) }).parse(info.result);
    expect(Object.keys(payload_schema).sort()).toEqual(of?.payloadIndexes);
    const near = await ask("POST", `/collections/${collection}/points/query`, { ...QUERIES[name], limit: 5 });
    const { points } = z.object({ points: z.array(z.object({ id: json })) }).parse(near.result);
    expect(points.map(({ id }) => id)).toEqual(of?.nearest5ToSin);
  };

  test("has every point, index and neighbour of it, also after a kill -9", async () => {
    const path = `/collections/${name}/snapshots/upload?wait=true&checksum=${of?.snapshotSha256}`;
    expect(await upload(path, join(fixtures, `${name}.snapshot`))).toMatchObject({ status: 200, result: true });
    await matches(name);
    await ask("PUT", `/collections/${name}/points?wait=true`, {
      points: [{ id: 4_000_000, vector: LATE[name], payload: { late: true } }],
    });
    await server.kill();
    await server.restart();
    expect((await ask("POST", `/collections/${name}/points/count`, { exact: true })).result).toEqual({
      count: (of?.points ?? 0) + 1,
    });
    await ask("POST", `/collections/${name}/points/delete?wait=true`, { points: [4_000_000] });
    await matches(name);
  });

  test("gives it back whole in a snapshot and in the streams of its shards", async () => {
    const made = z
      .object({ name: z.string(), checksum: z.string() })
      .parse((await ask("POST", `/collections/${name}/snapshots`)).result);
    const files: Record<string, string> = { snapshot: `/collections/${name}/snapshots/${made.name}` };
    for (const shard of SHARDS[name]) files[`stream-${shard}`] = `/collections/${name}/shards/${shard}/snapshot`;
    for (const [label, path] of Object.entries(files)) {
      const response = await fetch(`${server.url}${path}`, { headers: { "api-key": server.apiKey } });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (label === "snapshot") expect(createHash("sha256").update(bytes).digest("hex")).toBe(made.checksum);
      await writeFile(join(server.dir, label), bytes);
    }
    const copy = `${name}-copy`;
    expect(await upload(`/collections/${copy}/snapshots/upload`, join(server.dir, "snapshot"))).toMatchObject({
      result: true,
    });
    await matches(copy);
    await ask("POST", `/collections/${copy}/points/delete?wait=true`, { filter: {} });
    expect((await ask("POST", `/collections/${copy}/points/count`, { exact: true })).result).toEqual({ count: 0 });
    for (const shard of SHARDS[name]) {
      const path = `/collections/${copy}/shards/${shard}/snapshots/upload?priority=snapshot`;
      expect(await upload(path, join(server.dir, `stream-${shard}`))).toMatchObject({ status: 200, result: true });
    }
    await matches(copy);
    // The log that travels is empty, and goes on where the other one was: an update of an old point is taken.
    const [id] = of?.nearest5ToSin ?? [];
    await ask("POST", `/collections/${copy}/points/payload?wait=true`, {
      points: [id ?? 0],
      payload: { changed: true },
    });
    const [read] = z
      .array(z.record(z.string(), json))
      .parse((await ask("POST", `/collections/${copy}/points`, { ids: [id ?? 0] })).result);
    expect(read).toMatchObject({ payload: { changed: true } });
  });
});

describe("the Qdrant double", () => {
  test("of several peers gives each shard where it is, and lets a peer without shards say so", async () => {
    await using cluster = await ownQdrantDouble({ args: ["--peers", "3"] });
    const urls = z
      .array(z.string())
      .parse(JSON.parse(await readFile(join(cluster.dir, "storage/addresses.json"), "utf8")));
    expect(urls[0]).toBe(cluster.url);
    const at = async (peer: number, method: string, path: string, body?: Json) => {
      const response = await fetch(`${urls[peer - 1]}${path}`, {
        method,
        headers: { "api-key": cluster.apiKey, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
      return { status: response.status, result: isJson && response.ok ? JSON.parse(text).result : text };
    };
    await at(1, "PUT", "/collections/wide", { vectors: { size: 2, distance: "Dot" }, shard_number: 2 });
    const points = Array.from({ length: 40 }, (_, id) => ({ id, vector: [id, 1] }));
    await at(3, "PUT", "/collections/wide/points", { points });
    const shards = await Promise.all([1, 2, 3].map((peer) => at(peer, "GET", "/collections/wide/cluster")));
    expect(shards.map(({ result }) => result.local_shards.map((each: { shard_id: number }) => each.shard_id))).toEqual([
      [0],
      [1],
      [],
    ]);
    for (const { result } of shards) expect(result.shard_count).toBe(2);
    const scrolled = await at(2, "POST", "/collections/wide/points/scroll", { limit: 30, offset: 5 });
    expect(scrolled.result.points.map(({ id }: { id: number }) => id)).toEqual(points.slice(5, 35).map(({ id }) => id));
    expect(scrolled.result.next_page_offset).toBe(35);
    const streams = await Promise.all([1, 2, 3].map((peer) => at(peer, "GET", "/collections/wide/shards/1/snapshot")));
    expect(streams.map(({ status }) => status).filter((status) => status === 400)).toHaveLength(2);

    // As a server alone: what a peer holds of a collection is no whole one.
    const made = await at(1, "POST", "/collections/wide/snapshots");
    const part = await fetch(`${urls[0]}/collections/wide/snapshots/${made.result.name}`, {
      headers: { "api-key": cluster.apiKey },
    });
    await writeFile(join(server.dir, "part"), Buffer.from(await part.arrayBuffer()));
    expect(await upload("/collections/wide/snapshots/upload", join(server.dir, "part"))).toMatchObject({
      status: 500,
      error: expect.stringContaining("missing data at shard"),
    });
  });

  test("says what it is, refuses a wrong key, a wrong checksum and a torn shard", async () => {
    const root = await fetch(server.url);
    expect(await root.json()).toMatchObject({ title: "qdrant double - not a Qdrant server", version: "1.17.1" });
    expect((await fetch(`${server.url}/collections`)).status).toBe(401);
    expect((await fetch(`${server.url}/collections`, { headers: { "api-key": "wrong" } })).status).toBe(401);
    const notes = join(fixtures, "notes.snapshot");
    expect(await upload(`/collections/other/snapshots/upload?checksum=${"0".repeat(64)}`, notes)).toMatchObject({
      status: 400,
    });
    await ask("PUT", "/collections/torn", { vectors: { size: 4, distance: "Dot" } });
    await ask("PUT", "/collections/torn/points", { points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    const response = await fetch(`${server.url}/collections/torn/shards/0/snapshot`, {
      headers: { "api-key": server.apiKey },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    await writeFile(join(server.dir, "torn"), bytes.subarray(0, bytes.byteLength / 2));
    expect((await upload("/collections/torn/shards/0/snapshots/upload", join(server.dir, "torn"))).status).toBe(500);
    expect((await ask("POST", "/collections/torn/points/count", { exact: true })).result).toEqual({ count: 1 });
  });
});
