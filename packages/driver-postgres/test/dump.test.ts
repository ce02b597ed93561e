import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { shipSettings } from "@stillpoint/contracts/ship";
import { type PostgresSource, postgresSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dumpDetail } from "../src/dump-mark.ts";
import { exportPostgres } from "../src/portable.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import { type Captured, laidOut, marked, started, verdictsOf } from "./captured.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let client: Awaited<ReturnType<typeof connected>>;
let directories = 0;
const never = new AbortController().signal;

beforeAll(async () => {
  server = resources.use(await ownPostgres());
  root = resources.use(await temporaryDirectory("dump")).path;
  client = resources.use(await connected(server.url()));
  await client.query(`create role "owner of it" password 'hush'; create role reader login password 'secret'`);
  await client.query('create database "odd/name="');
  await client.query("create table kept (n int primary key, payload text); create table other (n int)");
  await client.query('alter table kept owner to "owner of it"; grant select on kept to reader');
  const odd = resources.use(await connected(server.url("odd/name=")));
  await odd.query("create table aside (n int primary key); insert into aside select generate_series(1, 1000)");
});
afterAll(async () => await resources.disposeAsync());

async function fresh(): Promise<string> {
  directories += 1;
  const directory = join(root, String(directories));
  await mkdir(directory);
  return directory;
}

function dumped(dump: PostgresSource["dump"] = "all", user?: string): PostgresSource {
  return postgresSource.parse({ ...sourceOf(server, user === undefined ? {} : { user }), dump });
}

async function dumpOf(
  source: PostgresSource,
  afterMark: () => Promise<void> = async () => undefined,
  password?: string,
): Promise<Captured> {
  const directory = await fresh();
  await using capture = await postgresDriver.open(
    source,
    contextFor(server, await fresh(), never, password === undefined ? {} : { password }),
  );
  const mark = await marked(capture);
  await afterMark();
  const tree = directoryTree(directory);
  await capture.finish(tree);
  await tree.finish();
  return { directory, mark, capture: capture.description };
}

test("dumps hold what was committed when they were marked, whatever is written before pg_dump comes to it, and load into an empty server", async () => {
  const write = async (n: number) => void (await client.query(`insert into kept values (${n}, repeat('x', 1000))`));
  await write(1);
  const it = await dumpOf(dumped(), async () => {
    await write(2);
    await client.query("delete from kept where n = 1; insert into other values (1)");
  });
  expect(it.mark.fuzzy).toBeUndefined();
  expect(it.capture).toMatchObject({ hasLog: false, finish: "full" });
  // As they are: compressed, what did not change since the last dump would not be found in the repository.
  const { databases } = dumpDetail.parse(it.mark.detail).dump;
  const path = databases.find(({ name }) => name === "postgres")?.path ?? "";
  expect((await readFile(join(it.directory, path))).includes("x".repeat(1_000))).toBe(true);
  await laidOut(it);
  await using sandbox = await started(it, contextFor(server, await fresh(), never));
  const verdicts = await verdictsOf(sandbox);
  expect(Object.entries(verdicts).filter(([, { verdict }]) => verdict !== "pass")).toEqual([]);
  expect(verdicts["row counts"]?.detail).toContain("1001 rows in 3 tables");
  expect(verdicts["dumps loaded"]?.detail).toContain("odd/name=");
  const statement = (text: string) => Array.fromAsync(sandbox.query({ type: "statement", id: "s", text }));
  expect(await statement("select n from kept")).toEqual([{ values: [1] }]);
  expect(await statement("select tableowner from pg_tables where tablename = 'kept'")).toEqual([
    { values: ["owner of it"] },
  ]);
});

test("databases that are written all the time are at one moment, or the point says how far they are apart", async () => {
  const odd = await connected(server.url("odd/name="));
  let writing = true;
  let written = 0;
  const write = async () => {
    for (; writing; written += 1) {
      await client.query("insert into other values (1)");
      await odd.query("insert into aside values ($1)", [10_000 + written]);
    }
  };
  const writer = write();
  await waitFor("rows are written", () => written > 10);
  await using capture = await postgresDriver.open(dumped(), contextFor(server, await fresh(), never));
  const mark = await marked(capture);
  const directory = await fresh();
  const tree = directoryTree(directory);
  await capture.finish(tree);
  await tree.finish();
  writing = false;
  await writer;
  await odd.end();
  if (mark.fuzzy !== undefined) {
    expect(mark.fuzzy).toMatch(/up to \d+ ms apart/);
    return;
  }
  const counts = JSON.parse(await readFile(join(directory, "stillpoint/counts.json"), "utf8"));
  const rows = (table: string) => counts.counted.find((each: { table: string }) => each.table === table).rows;
  // One was written before the other, and never two.
  expect([0, 1]).toContain(rows("other") - 1 - (rows("aside") - 1000));
});

test("databases can be chosen; one that is not there, and programs that are too old, are refused by name", async () => {
  const it = await dumpOf(dumped(["odd/name="]));
  expect(it.mark.detail).toMatchObject({
    dump: { databases: [{ name: "odd/name=", path: "dumps/odd%2Fname%3D.dump" }] },
  });
  await expect(dumpOf(dumped(["nowhere"]))).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    where: expect.stringContaining("nowhere"),
  });
  const context = contextFor(server, await fresh(), never);
  await expect(postgresDriver.open(dumped(), { ...context, tools: {} })).rejects.toMatchObject({
    code: "STORE_NOT_INSTALLED",
  });
});

test("a user who may not read a table is told the line that lets him; who may read all of them dumps, without the roles' passwords", async () => {
  const error: unknown = await dumpOf(dumped(["postgres"], "reader"), undefined, "secret").catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({
    code: "SOURCE_DENIED",
    where: "pg_dump",
    why: expect.stringContaining("permission denied for table other"),
  });
  await using capture = await postgresDriver.open(
    dumped(["postgres"], "reader"),
    contextFor(server, await fresh(), never, { password: "secret" }),
  );
  const notes = capture.description.notes.join();
  expect(notes).toContain('GRANT pg_read_all_data TO "reader";');
  expect(notes).toContain("without their passwords");
  await client.query("grant select on other to reader");
  const roles = async () => {
    const it = await dumpOf(dumped(["postgres"], "reader"), undefined, "secret");
    return await readFile(join(it.directory, "roles.sql"), "utf8");
  };
  const without = await roles();
  expect(without).toContain('CREATE ROLE "owner of it"');
  expect(without).not.toContain("SCRAM-SHA-256");
  await client.query("revoke select on other from reader; grant pg_read_all_data to reader");
  expect(await roles()).toContain("SCRAM-SHA-256");
});

test("an export of dumps is what they are already, and needs no server", async () => {
  const it = await dumpOf(dumped());
  const input = { directory: it.directory, mark: it.mark, runtime: it.capture.runtime };
  const parts = [];
  for await (const file of exportPostgres(input, { ...contextFor(server, await fresh(), never), tools: {} })) {
    const pieces = await Array.fromAsync(file.content());
    parts.push([file.part, file.extension, pieces.length > 0]);
  }
  expect(parts).toEqual([
    ["roles", "sql", true],
    ["tablespaces", "sql", true],
    ["odd/name=", "dump", true],
    ["postgres", "dump", true],
  ]);
});

test("a source that is dumped has no log to be shipped", () => {
  expect(shipSettings(dumped())).toBeUndefined();
  expect(shipSettings(sourceOf(server))).toBeDefined();
});
