import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SourceKind } from "@stillpoint/contracts/names";
import { Secret } from "@stillpoint/contracts/secret";
import { filesSource, neo4jSource, postgresSource, qdrantSource, sqliteSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, Tools, TreeLayout } from "@stillpoint/driver/driver";
import { filesDriver } from "@stillpoint/driver-files/files-driver";
import { neo4jDriver } from "@stillpoint/driver-neo4j/neo4j-driver";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { startQdrant } from "@stillpoint/parts/qdrant-server";
import { PARTS_DIRECTORY, QDRANT_DOUBLE_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import neo4j from "neo4j-driver";
import pg from "pg";
import { noise } from "./crafted-trees.ts";

/** A running source with data in it. */
export type Subject = AsyncDisposable & {
  name: string;
  kind: SourceKind;
  addresses: string[];
  layout: TreeLayout;
  open(directory: string): Promise<Capture>;
  /** Some writes that are acknowledged when it resolves; `round` counts from 1. */
  write(round: number): Promise<void>;
  /** The rows that show what is in it, as text. */
  query?: { text: string; run: () => Promise<string[][]> };
};

const never = new AbortController().signal;

function contextOf(directory: string, tools: Tools, secret: string): DriverContext {
  return {
    directory,
    signal: never,
    secret: () => new Secret(secret),
    monotonicMs: () => performance.now(),
    now: () => Date.now(),
    log: () => undefined,
    tools,
  };
}

/** A line that is the same in every run. */
const words = (seed: string) => noise(seed, 24).toString("hex");

export async function postgresSubject(dir: string): Promise<Subject> {
  const part = await ensurePostgres({ directory: PARTS_DIRECTORY });
  const server = await startPostgres({ part, dir, settings: { autovacuum: "off", checkpoint_timeout: "1h" } });
  const client = new pg.Client({ connectionString: server.url() });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("create table orders (id int primary key, customer text, total int)");
  const spec = postgresSource.parse({
    kind: "postgres",
    url: `postgres://${server.user}@127.0.0.1:${server.port}/postgres`,
    password: "${env:PASSWORD}",
  });
  const tools = { postgresBin: part.binDirectory, serverUser: "postgres" };
  const text = "select count(*), sum(total), max(id) from orders";
  return {
    name: "orders",
    kind: "postgres",
    addresses: postgresDriver.addresses(spec),
    layout: postgresDriver.layout,
    open: (directory) => postgresDriver.open(spec, contextOf(directory, tools, server.password)),
    async write(round) {
      const rows = Array.from({ length: 300 }, (_, i) => round * 1_000 + i);
      for (const id of rows) await client.query("insert into orders values ($1, $2, $3)", [id, words(`${id}`), id * 7]);
    },
    query: {
      text,
      run: async () => (await client.query<string[]>({ text, rowMode: "array" })).rows.map((row) => row.map(String)),
    },
    async [Symbol.asyncDispose]() {
      await client.end();
      await server.stop();
    },
  };
}

export async function neo4jSubject(dir: string): Promise<Subject> {
  const part = await ensureNeo4j({ directory: PARTS_DIRECTORY });
  await mkdir(dir);
  const server = await startNeo4j({ part, dir });
  const driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password));
  const spec = neo4jSource.parse({
    kind: "neo4j",
    url: server.url,
    user: server.user,
    password: "${env:PASSWORD}",
    data: server.dataDirectory,
  });
  const tools = { java: part.java, neo4jLib: part.libDirectory, javaOptions: [...part.javaArguments] };
  const text = "MATCH (o:Order)-[:OF]->(c:Customer) RETURN count(o), max(o.number), count(DISTINCT c)";
  return {
    name: "graph",
    kind: "neo4j",
    addresses: neo4jDriver.addresses(spec),
    layout: neo4jDriver.layout,
    open: (directory) => neo4jDriver.open(spec, contextOf(directory, tools, server.password)),
    async write(round) {
      await driver.executeQuery(
        "UNWIND range(1, 60) AS i MERGE (c:Customer {number: i % 9}) CREATE (:Order {number: $round * 1000 + i})-[:OF]->(c)",
        { round: neo4j.int(round) },
      );
    },
    query: {
      text,
      run: async () => (await driver.executeQuery(text)).records.map((record) => record.map((value) => String(value))),
    },
    async [Symbol.asyncDispose]() {
      await driver.close();
      await server.stop();
    },
  };
}

export async function qdrantSubject(dir: string): Promise<Subject> {
  const part = await ensureQdrantDouble({ directory: PARTS_DIRECTORY }, QDRANT_DOUBLE_DIRECTORY);
  await mkdir(dir);
  const server = await startQdrant({ part, dir });
  const environment = Object.entries(part.env).map(([name, value]) => `${name}=${value}`);
  const tools = { qdrantCommand: ["env", ...environment, ...part.command], qdrantIsDouble: true };
  const spec = qdrantSource.parse({ kind: "qdrant", url: server.url, apiKey: "${env:API_KEY}" });
  const call = async (method: string, path: string, body: unknown) => {
    const headers = { "content-type": "application/json", "api-key": server.apiKey };
    const response = await fetch(`${server.url}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  };
  await call("PUT", "/collections/products", { vectors: { size: 4, distance: "Cosine" } });
  await call("PUT", "/collections/products/index?wait=true", { field_name: "seq", field_schema: "integer" });
  await call("POST", "/collections/aliases", {
    actions: [{ create_alias: { collection_name: "products", alias_name: "products-live" } }],
  });
  return {
    name: "vectors",
    kind: "qdrant",
    addresses: qdrantDriver.addresses(spec),
    layout: qdrantDriver.layout,
    open: (directory) => qdrantDriver.open(spec, contextOf(directory, tools, server.apiKey)),
    async write(round) {
      const points = Array.from({ length: 20 }, (_, i) => {
        const seq = round * 100 + i;
        return { id: seq, vector: [1, 2, 3, 4].map((at) => Math.sin(seq * at)), payload: { seq } };
      });
      await call("PUT", "/collections/products/points?wait=true", { points });
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

export async function sqliteSubject(dir: string): Promise<Subject> {
  await mkdir(dir);
  const database = new DatabaseSync(join(dir, "cart.db"));
  database.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE items (id INTEGER PRIMARY KEY, word TEXT)",
  );
  const spec = sqliteSource.parse({ kind: "sqlite", path: join(dir, "*.db") });
  const text = "SELECT count(*), max(id) FROM items";
  const statement = database.prepare(text);
  return {
    name: "cart",
    kind: "sqlite",
    addresses: [],
    layout: sqliteDriver.layout,
    open: (directory) => sqliteDriver.open(spec, contextOf(directory, {}, "")),
    async write(round) {
      const insert = database.prepare("INSERT INTO items VALUES (?, ?)");
      for (let i = 0; i < 200; i++) insert.run(round * 1_000 + i, words(`${round} ${i}`));
    },
    query: { text, run: async () => statement.all().map((row) => Object.values(row).map(String)) },
    async [Symbol.asyncDispose]() {
      database.close();
    },
  };
}

export async function filesSubject(dir: string): Promise<Subject> {
  const uploads = join(dir, "uploads");
  await mkdir(join(uploads, "deep/er"), { recursive: true });
  const spec = filesSource.parse({ kind: "files", paths: [uploads] });
  return {
    name: "uploads",
    kind: "files",
    addresses: [],
    layout: filesDriver.layout,
    open: (directory) => filesDriver.open(spec, contextOf(directory, {}, "")),
    async write(round) {
      for (let i = 0; i < 12; i++) await writeFile(join(uploads, `deep/er/${round}-${i}.txt`), words(`${round}${i}`));
      await writeFile(join(uploads, "changing.bin"), noise(`round ${round}`, 20_000 * round));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export const SUBJECTS = [postgresSubject, neo4jSubject, qdrantSubject, sqliteSubject, filesSubject] as const;
