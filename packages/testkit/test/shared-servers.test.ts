import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { LockQueue } from "@stillpoint/testkit/lock-queue";
import { ownNats } from "@stillpoint/testkit/nats";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { ownDatabase, ownPostgres, sharedPostgres } from "@stillpoint/testkit/postgres";
import { ownQdrantDouble } from "@stillpoint/testkit/qdrant";
import { ownBucket } from "@stillpoint/testkit/s3";
import neo4j from "neo4j-driver";
import pg from "pg";
import { expect, test } from "vitest";

test("everybody who asks gets the same PostgreSQL, and a database of their own", async () => {
  const [one, other] = await Promise.all([ownDatabase(), ownDatabase()]);
  await using _one = one;
  await using _other = other;
  expect(one.server.port).toBe(other.server.port);
  expect(one.name).not.toBe(other.name);
  expect(await sharedPostgres()).toMatchObject({ port: one.server.port, password: one.server.password });
  await query(one.url, "create table seen ()");
  await expect(query(other.url, "select * from seen")).rejects.toThrow('relation "seen" does not exist');
});

test("a database of one's own is gone at the end, whoever is still connected", async () => {
  const database = await ownDatabase();
  const client = new pg.Client({ connectionString: database.url });
  client.on("error", () => undefined); // the drop ends this connection, which is the point
  await client.connect();
  await database[Symbol.asyncDispose]();
  await expect(query(database.url, "select 1")).rejects.toThrow("does not exist");
});

test("a PostgreSQL of one's own has the settings asked for and keeps its data over a kill", async () => {
  await using server = await ownPostgres({ settings: { wal_level: "logical", cluster_name: "it's quoted" } });
  expect(await query(server.url(), "show wal_level")).toEqual([{ wal_level: "logical" }]);
  expect(await query(server.url(), "show cluster_name")).toEqual([{ cluster_name: "it's quoted" }]);
  expect(await query(server.url(), "show data_checksums")).toEqual([{ data_checksums: "on" }]);
  await query(server.url(), "create table kept as select 1 as value");
  await server.kill();
  await server.restart();
  expect(await query(server.url(), "select value from kept")).toEqual([{ value: 1 }]);
});

test("a NATS server of one's own comes back on its port after a kill", async () => {
  await using server = await ownNats();
  const before = server.pid;
  await server.kill();
  await expect(greeting(server.port)).rejects.toThrow();
  await server.restart();
  expect(server.pid).not.toBe(before);
  expect(await greeting(server.port)).toMatch(/"jetstream":true/);
});

test("a bucket of one's own takes objects, and shows them as files to be damaged", async () => {
  const { bucket, endpoint, region, accessKeyId, secretAccessKey, bucketsDirectory } = await ownBucket();
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: "packs/one", Body: "whole" }));
  await expect(
    client.send(new PutObjectCommand({ Bucket: bucket, Key: "packs/one", Body: "again", IfNoneMatch: "*" })),
  ).rejects.toThrow(expect.objectContaining({ name: "PreconditionFailed" }));
  const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  expect(listed.Contents?.map((object) => object.Key)).toEqual(["packs/one"]);
  await writeFile(join(bucketsDirectory, bucket, "packs/one"), "wh0le", { flag: "r+" });
  client.destroy();
});

test("the shared Neo4j is empty and answers for one at a time", async () => {
  const first = await sharedNeo4j();
  await cypher(first, "CREATE (:Left {behind: true})");
  await cypher(first, "CREATE CONSTRAINT left_behind FOR (n:Left) REQUIRE n.behind IS UNIQUE");
  const second = sharedNeo4j();
  await expect(Promise.race([second, Promise.resolve("still waiting")])).resolves.toBe("still waiting");
  await first[Symbol.asyncDispose]();
  await using now = await second;
  expect(await cypher(now, "MATCH (n) RETURN count(n) AS value")).toEqual([0]);
  expect(await cypher(now, "SHOW CONSTRAINTS YIELD name RETURN count(name) AS value")).toEqual([0]);
});

test("a lock is given in the order it was asked for, to one at a time", async () => {
  const locks = new LockQueue();
  const order: string[] = [];
  const release = await locks.take("neo4j");
  const waiting = ["first", "second"].map(async (name) => {
    const give = await locks.take("neo4j");
    order.push(name);
    await Promise.resolve();
    order.push(`${name} gives`);
    give();
  });
  expect(order).toEqual([]);
  release();
  await Promise.all(waiting);
  expect(order).toEqual(["first", "first gives", "second", "second gives"]);
});

test("the Qdrant test double starts, and says that it is one", async () => {
  await using double = await ownQdrantDouble();
  expect(double.isDouble).toBe(true);
  const refused = await fetch(`${double.url}/collections`);
  const allowed = await fetch(`${double.url}/collections`, { headers: { "api-key": double.apiKey } });
  expect([refused.status, allowed.status]).toEqual([401, 200]);
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function cypher(server: { url: string; user: string; password: string }, text: string): Promise<unknown[]> {
  await using driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password), {
    disableLosslessIntegers: true,
  });
  return (await driver.executeQuery(text)).records.map((record) => record.get("value"));
}

async function greeting(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const [data] = await once(socket, "data");
  socket.destroy();
  return String(data);
}
