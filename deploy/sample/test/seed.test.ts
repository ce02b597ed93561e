import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ownDatabase } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decide, documentsAt, seedSample } from "../src/seed.ts";
import type { Connections } from "../src/stores.ts";

const resources = new AsyncDisposableStack();
let root: string;
beforeAll(async () => {
  root = resources.use(await temporaryDirectory("sample-seed")).path;
});
afterAll(() => resources.disposeAsync());

async function place(name: string) {
  const database = resources.use(await ownDatabase());
  return {
    postgres: { url: database.url },
    sqlite: { path: join(root, name, "sessions.db") },
    files: { directory: join(root, name, "files") },
  } satisfies Connections;
}
type Place = Awaited<ReturnType<typeof place>>;

async function rowsOf(url: string): Promise<unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    const documents = await client.query({ text: "select * from document order by seq", rowMode: "array" });
    const log = await client.query({ text: "select * from write_log order by seq", rowMode: "array" });
    return [...documents.rows, ...log.rows];
  } finally {
    await client.end();
  }
}

async function digest(at: Place): Promise<Record<string, string>> {
  const hash = (values: unknown[]) => createHash("sha256").update(JSON.stringify(values)).digest("hex");
  const database = new DatabaseSync(at.sqlite.path, { readOnly: true });
  const sessions = database.prepare("select * from session order by seq").all();
  database.close();
  const files = ["config", "uploads"].flatMap((name) =>
    readdirSync(join(at.files.directory, name))
      .sort()
      .map((file) => [name, file, readFileSync(join(at.files.directory, name, file), "utf8")]),
  );
  return { postgres: hash(await rowsOf(at.postgres.url)), sqlite: hash(sessions), files: hash(files) };
}

test("the same seed and size make the same bytes, another seed makes others", async () => {
  const [one, same, other] = [await place("one"), await place("same"), await place("other")];
  await seedSample({ connections: one, seed: "a", scale: 0.01 });
  await seedSample({ connections: same, seed: "a", scale: 0.01 });
  await seedSample({ connections: other, seed: "b", scale: 0.01 });
  const [first, second, third] = [await digest(one), await digest(same), await digest(other)];
  expect(second).toEqual(first);
  for (const store of Object.keys(first)) expect(third[store]).not.toBe(first[store]);
});

test("seeding again does nothing; another size is refused, and replaces the old one when that is asked for", async () => {
  const connections = await place("again");
  const first = await seedSample({ connections, scale: 0.002 });
  expect(first).toMatchObject({ documents: 20, filled: ["postgres", "sqlite", "files"], kept: [] });
  const before = await digest(connections);
  expect(await seedSample({ connections, scale: 0.002 })).toMatchObject({ filled: [], kept: first.filled });
  expect(await digest(connections)).toEqual(before);

  await expect(seedSample({ connections, scale: 0.004 })).rejects.toThrow(/was seeded with seed .* and 20 documents/);
  expect(await digest(connections)).toEqual(before);

  expect(await seedSample({ connections, scale: 0.004, reseed: true })).toMatchObject({ filled: first.filled });
  expect(await rowsOf(connections.postgres.url)).toHaveLength(2 * documentsAt(0.004));
});

test("a seeding that was cut short is made anew, the stores that had ended stay", async () => {
  const connections = await place("cut");
  await seedSample({ connections, scale: 0.002 });
  const before = await digest(connections);
  const client = new Client(connections.postgres.url);
  await client.connect();
  await client.query("update sample_marker set finished = false; delete from document where seq > 7");
  await client.end();
  expect(await seedSample({ connections, scale: 0.002 })).toMatchObject({
    filled: ["postgres"],
    kept: ["sqlite", "files"],
  });
  expect(await digest(connections)).toEqual(before);
});

test("a place where others' data lies is refused and left as it is", async () => {
  const connections = await place("foreign");
  const directory = connections.files.directory;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "thesis.txt"), "mine");
  await expect(seedSample({ connections, reseed: true })).rejects.toThrow(/thesis\.txt.*did not make it/);
  expect(readdirSync(directory)).toEqual(["thesis.txt"]);
});

test("only reseeding removes what another seed made", () => {
  const wanted = { seed: "a", documents: 10, finished: true };
  expect(decide("qdrant", undefined, wanted, false)).toBe("fill");
  expect(decide("qdrant", wanted, wanted, true)).toBe("keep");
  expect(decide("qdrant", { ...wanted, finished: false }, wanted, false)).toBe("clear");
  expect(decide("qdrant", { ...wanted, seed: "b" }, wanted, true)).toBe("clear");
  expect(() => decide("qdrant", { ...wanted, seed: "b" }, wanted, false)).toThrow("ask for reseeding");
});
