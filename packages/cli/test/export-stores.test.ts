import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pipeline } from "node:stream/promises";
import { filesSource, neo4jSource, postgresSource, qdrantSource, sqliteSource } from "@stillpoint/contracts/source";
import { filesDriver } from "@stillpoint/driver-files/files-driver";
import { neo4jDriver } from "@stillpoint/driver-neo4j/neo4j-driver";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import type { PostgresServer } from "@stillpoint/parts/postgres-server";
import type { QdrantServer } from "@stillpoint/parts/qdrant-server";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { ownQdrantDouble } from "@stillpoint/testkit/qdrant";
import neo4j from "neo4j-driver";
import { expect, it, vi } from "vitest";
import { checkedSums, POINT_ID, run, type SourceUnderTest, startExport } from "./export-fixture.ts";

// Two starts of Neo4j, beside other test files that start theirs.
vi.setConfig({ testTimeout: 300_000 });

const STAMP = "20260102_030405";
const ODD = "Sh/op=1.x";

function psql(server: PostgresServer, database: string, ...args: string[]) {
  const env = { ...process.env, PGPASSWORD: server.password, PGDATABASE: database };
  const to = ["-h", server.host, "-p", String(server.port), "-U", server.user];
  return run(join(server.binDirectory, "psql"), [...to, "-AtX", "-v", "ON_ERROR_STOP=1", ...args], { env });
}

async function curl(server: QdrantServer, method: string, path: string, ...more: string[]) {
  const key = ["-H", `api-key: ${server.apiKey}`];
  const { stdout } = await run("curl", [
    "-sS",
    "--fail-with-body",
    "-X",
    method,
    ...key,
    `${server.url}${path}`,
    ...more,
  ]);
  return JSON.parse(stdout).result;
}
const JSON_BODY = ["-H", "content-type: application/json"];

it("of every kind loads with the store's own tools alone, and is what was captured", async () => {
  await using bench = await startExport();
  const { directory } = bench;

  await using postgres = await ownPostgres();
  await psql(postgres, "postgres", "-c", "create role shopkeeper login password 'of the shop'");
  for (const name of ["shop", ODD])
    await psql(postgres, "postgres", "-c", `create database "${name}" owner shopkeeper`);
  const rows = "create table item as select g as id, repeat('x', g % 50) as text from generate_series(1, 5000) g";
  for (const name of ["shop", ODD]) await psql(postgres, name, "-c", `${rows}; alter table item owner to shopkeeper`);

  await using graph = await sharedNeo4j();
  const part = await ensureNeo4j({ directory: PARTS_DIRECTORY });
  await using source = neo4j.driver(graph.url, neo4j.auth.basic(graph.user, graph.password));
  await source.executeQuery("CREATE CONSTRAINT FOR (w:Written) REQUIRE w.seq IS UNIQUE");
  await source.executeQuery("UNWIND range(1, 300) AS seq CREATE (:Written {seq: seq})-[:OF {by: seq}]->(:Thing)");

  await using vectors = await ownQdrantDouble();
  for (const name of ["products", "my.things"]) {
    await curl(vectors, "PUT", `/collections/${name}`, ...JSON_BODY, "-d", '{"vectors":{"size":2,"distance":"Dot"}}');
    const points = Array.from({ length: 40 }, (_, at) => ({ id: at + 1, vector: [at, 1], payload: { seq: at } }));
    await curl(vectors, "PUT", `/collections/${name}/points?wait=true`, ...JSON_BODY, "-d", JSON.stringify({ points }));
  }
  const index = '{"field_name":"seq","field_schema":"integer"}';
  await curl(vectors, "PUT", "/collections/products/index?wait=true", ...JSON_BODY, "-d", index);
  const alias = '{"actions":[{"create_alias":{"alias_name":"live","collection_name":"products"}}]}';
  await curl(vectors, "POST", "/collections/aliases", ...JSON_BODY, "-d", alias);

  const path = join(directory, "sessions.db");
  new DatabaseSync(path).exec(
    "pragma journal_mode=wal; create table item (id integer); insert into item values (1), (2)",
  );
  const uploads = join(directory, "uploads");
  await mkdir(uploads);
  await writeFile(join(uploads, "one"), "uploaded");

  const tools = { postgresBin: postgres.binDirectory, serverUser: "postgres" };
  const url = `postgres://${postgres.user}@127.0.0.1:${postgres.port}/postgres`;
  const qdrant = {
    driver: qdrantDriver,
    spec: qdrantSource.parse({ kind: "qdrant", url: vectors.url, apiKey: "${env:K}" }),
  };
  const { url: bolt, dataDirectory: data } = graph;
  await bench.seal([
    {
      name: "orders",
      driver: postgresDriver,
      spec: postgresSource.parse({ kind: "postgres", url, password: "${env:P}" }),
      secret: postgres.password,
      tools,
    },
    {
      name: "graph",
      driver: neo4jDriver,
      spec: neo4jSource.parse({ kind: "neo4j", url: bolt, password: "${env:P}", data }),
      secret: graph.password,
    },
    { name: "fenced", ...qdrant, secret: vectors.apiKey },
    { name: "aligned", ...qdrant, secret: vectors.apiKey, fenced: false },
    { name: "sessions", driver: sqliteDriver, spec: sqliteSource.parse({ kind: "sqlite", path }) },
    { name: "uploads", driver: filesDriver, spec: filesSource.parse({ kind: "files", paths: [uploads] }) },
    // A driver's type is of its own kind of source; each stands beside a source of that kind.
  ] as unknown as SourceUnderTest[]);
  await psql(postgres, "shop", "-c", "delete from item");

  const to = join(directory, "out");
  Object.assign(bench.environment, {
    STILLPOINT_POSTGRES_BIN: postgres.binDirectory,
    STILLPOINT_SERVER_USER: "postgres",
    STILLPOINT_JAVA: part.java,
    STILLPOINT_JAVA_OPTIONS: JSON.stringify(part.javaArguments),
    STILLPOINT_NEO4J_LIB: part.libDirectory,
  });
  await bench.export([POINT_ID, "--to", to]);
  const sums = await checkedSums(to);
  expect(sums.filter((line) => !line.endsWith(": OK"))).toEqual([]);
  expect(sums.map((line) => line.replace(": OK", ""))).toEqual(
    expect.arrayContaining(
      ["roles.sql", "shop.dump", "Sh.2Fop.3D1.2Ex.dump"].map((part) => `postgres_${STAMP}_${part}`),
    ),
  );
  const at = (kind: string, rest: string) => join(to, kind, "2026/01/02", `${kind}_${STAMP}${rest}`);

  // PostgreSQL: an empty cluster, psql and pg_restore.
  await using empty = await ownPostgres();
  const roles = at("postgres", "_roles.sql");
  // The cluster's own superuser is there already, and is to keep its password.
  const others = (await readFile(roles, "utf8")).split("\n").filter((line) => !line.includes(`ROLE ${empty.user}`));
  await writeFile(join(directory, "roles.sql"), others.join("\n"));
  await psql(empty, "postgres", "-f", join(directory, "roles.sql"));
  const pgRestore = async (part: string) => {
    const env = { ...process.env, PGPASSWORD: empty.password };
    const server = ["-h", empty.host, "-p", String(empty.port), "-U", empty.user, "-d", "postgres"];
    await run(
      join(empty.binDirectory, "pg_restore"),
      [...server, "--create", "--exit-on-error", "-j2", at("postgres", `_${part}.dump`)],
      { env },
    );
  };
  await pgRestore("shop");
  await pgRestore("Sh.2Fop.3D1.2Ex");
  for (const name of ["shop", ODD]) {
    const asked =
      "select count(*), sum(length(text)), tableowner from item, pg_tables where tablename = 'item' group by 3";
    expect((await psql(empty, name, "-c", asked)).stdout).toBe("5000|122500|shopkeeper\n");
  }

  // Qdrant: an empty server and curl. A collection is made first where its snapshots are of shards.
  await using other = await ownQdrantDouble();
  for (const [name, collection] of [
    ["products", "products"],
    ["my.2Ethings", "my.things"],
  ] as const) {
    const parameters = JSON.parse(await readFile(at("qdrant", `_fenced_${name}.json`), "utf8"));
    expect(parameters.by).toBe("streams");
    await curl(other, "PUT", `/collections/${collection}`, ...JSON_BODY, "-d", JSON.stringify(parameters.create));
    for (const each of parameters.indexes)
      await curl(other, "PUT", `/collections/${collection}/index?wait=true`, ...JSON_BODY, "-d", JSON.stringify(each));
    const shard = at("qdrant", `_fenced_${name}.shard-0.snapshot`);
    await curl(
      other,
      "POST",
      `/collections/${collection}/shards/0/snapshots/upload?wait=true&priority=snapshot`,
      "-F",
      `snapshot=@${shard}`,
    );
    const whole = at("qdrant", `_aligned_${name}.snapshot`);
    const body = JSON.parse(await readFile(at("qdrant", `_aligned_${name}.json`), "utf8")).create;
    await curl(other, "PUT", `/collections/again-${collection}`, ...JSON_BODY, "-d", JSON.stringify(body));
    await curl(
      other,
      "POST",
      `/collections/again-${collection}/snapshots/upload?wait=true&priority=snapshot`,
      "-F",
      `snapshot=@${whole}`,
    );
  }
  await curl(other, "POST", "/collections/aliases", ...JSON_BODY, "-d", `@${at("qdrant", "_fenced.aliases.json")}`);
  for (const name of ["live", "my.things", "again-products", "again-my.things"]) {
    const counted = await curl(
      other,
      "POST",
      `/collections/${name}/points/count`,
      ...JSON_BODY,
      "-d",
      '{"exact":true}',
    );
    expect(counted).toEqual({ count: 40 });
  }

  // SQLite and files: sqlite3 and tar.
  expect((await run("sqlite3", [at("sqlite", ".db"), "select sum(id) from item"])).stdout).toBe("3\n");
  expect((await run("tar", ["-xOf", at("files", ".tar"), "uploads/one"])).stdout).toBe("uploaded");

  // Neo4j: an empty home, neo4j-admin database load, and a server.
  const home = join(directory, "home");
  await mkdir(join(home, "conf"), { recursive: true });
  const load = ["org.neo4j.cli.AdminTool", "database", "load", "neo4j", "--from-stdin"];
  const admin = spawn(
    part.java,
    ["-XX:TieredStopAtLevel=1", ...part.javaArguments, "-cp", `${part.libDirectory}/*`, ...load],
    {
      env: { PATH: process.env.PATH, NEO4J_HOME: home },
      stdio: ["pipe", "ignore", "inherit"],
    },
  );
  const ended = once(admin, "exit");
  await pipeline(createReadStream(at("neo4j", "_neo4j.dump")), admin.stdin);
  expect((await ended)[0]).toBe(0);
  await using loaded = await startNeo4j({ part, dir: home });
  await using driver = neo4j.driver(loaded.url, neo4j.auth.basic(loaded.user, loaded.password));
  const { records } = await driver.executeQuery(
    "MATCH (w:Written)-[o:OF]->(:Thing) RETURN count(*) AS n, sum(o.by) AS sum",
  );
  expect(records.map((record) => [Number(record.get("n")), Number(record.get("sum"))])).toEqual([[300, 45150]]);
  const constraints = await driver.executeQuery("SHOW CONSTRAINTS YIELD name");
  expect(constraints.records).toHaveLength(1);
});
