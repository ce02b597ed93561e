import { execFile } from "node:child_process";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Sandbox } from "@stillpoint/driver/driver";
import { treeFiles } from "@stillpoint/driver/layout";
import { isAlive, processIdentity } from "@stillpoint/driver/process-identity";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { layout } from "../src/layout.ts";
import { COUNTS_PATH } from "../src/row-counts.ts";
import { programEnvironment } from "../src/sandbox.ts";
import { type Captured, captured, laidOut, started, verdictsOf } from "./captured.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let original: Captured;
let sandbox: Sandbox;
/** Of the table `product`, relative to the data directory. */
let productFile: string;
let directories = 0;
const never = new AbortController().signal;

async function context(more: Parameters<typeof contextFor>[3] = {}) {
  directories += 1;
  const directory = join(root, `context-${directories}`);
  await mkdir(directory);
  return contextFor(server, directory, never, more);
}

/** A copy of the laid-out capture, to be damaged. */
async function copy(name: string): Promise<Captured> {
  const directory = join(root, name);
  await promisify(execFile)("cp", ["-a", original.directory, directory]);
  return { ...original, directory };
}

beforeAll(async () => {
  // Its own transactions would come between a snapshot and a mark now and then.
  server = resources.use(await ownPostgres({ settings: { autovacuum: "off" } }));
  root = resources.use(await temporaryDirectory("sandbox")).path;
  await using client = await connected(server.url());
  await client.query(`create table product (id int primary key, name text, price numeric, code text);
    insert into product values (1, 'é', 1.50, '9'), (2, 'z', null, '10'), (3, 'Z', 7, null), (4, 'z', 12345678901234567890, '2');
    create schema "Sales"; create table "Sales"."Order" ("Id" bigint primary key);
    insert into "Sales"."Order" select generate_series(1, 2500);
    alter database postgres set statement_timeout = '1ms';
    alter role stillpoint set default_transaction_read_only = on; alter role stillpoint set datestyle = 'German'`);
  const file = await client.query("select pg_relation_filepath('product') as path");
  productFile = file.rows[0].path;
  original = await captured(sourceOf(server), await context(), join(root, "original"));
  await laidOut(original);
  await promisify(execFile)("cp", ["-a", original.directory, join(root, "running")]);
  sandbox = await started({ ...original, directory: join(root, "running") }, await context());
  resources.use(sandbox);
});
afterAll(async () => await resources.disposeAsync());

const ask = (query: Parameters<Sandbox["query"]>[0]) => Array.fromAsync(sandbox.query(query));
const statement = (text: string) => ask({ type: "statement", id: "s", text });

test("every check of a sound restore passes, and the server's version is told", async () => {
  const verdicts = await verdictsOf(sandbox);
  expect(Object.entries(verdicts).filter(([, { verdict }]) => verdict !== "pass")).toEqual([]);
  expect(Object.keys(verdicts)).toHaveLength(8);
  expect(verdicts["row counts"]?.detail).toContain("2504 rows in 2 tables");
  expect(sandbox.version).toBe(original.capture.version.replace(/ \(.*/, ""));
  expect(sandbox.recovered).toContain(`sp_${original.mark.cutId}`);
});

test("values come distinct, as text, sorted by code point, from names as the catalog has them", async () => {
  const values = async (of: string) =>
    (await ask({ type: "values", id: "v", of })).map((row) => ("value" in row ? row.value : row));
  expect(await values("product.name")).toEqual(["Z", "z", "é"]);
  expect(await values("public.product.price")).toEqual(["1.50", "12345678901234567890", "7"]);
  const orders = await values("Sales.Order.Id");
  expect(orders).toHaveLength(2500);
  expect(orders).toEqual([...orders].sort());
  expect(await values('"Sales"."Order".Id')).toEqual(orders);
});

test("the highest value is a number, also where the column is text, and null where there is none", async () => {
  const max = (of: string) => ask({ type: "max", id: "m", of });
  expect(await max("product.id")).toEqual([{ max: 4 }]);
  expect(await max("product.code")).toEqual([{ max: 10 }]);
  expect(await statement("select 1 where false")).toEqual([]);
  await expect(max("product.name")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
});

test("a statement's values cross without losing digits, and under none of the source's settings", async () => {
  expect(await statement("select count(*), sum(price), 1.50, true, null, date '2026-01-02' from product")).toEqual([
    { values: [4, "12345678901234567898.50", "1.50", true, null, "2026-01-02"] },
  ]);
  expect(await statement(`select '{"a": [1]}'::jsonb, current_setting('statement_timeout')`)).toEqual([
    { values: [{ a: [1] }, "0"] },
  ]);
});

test("a statement cannot write, nor end the transaction that keeps it from writing", async () => {
  await expect(statement("insert into product values (9)")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  await expect(statement("commit; delete from product")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  expect(await statement("select count(*) from product")).toEqual([{ values: [4] }]);
});

test("a question about what is not there blames the question and names it", async () => {
  for (const of of ["nothing.id", "product.nothing", "product", "a.b.c.d", "product..id"]) {
    await expect(ask({ type: "values", id: "v", of })).rejects.toMatchObject({ code: "INVALID_REQUEST", where: of });
  }
});

test("a stream of rows that is left early costs nothing more", async () => {
  for await (const row of sandbox.query({ type: "values", id: "v", of: "Sales.Order.Id" })) {
    expect(row).toEqual({ value: "1" });
    break;
  }
  expect(await statement("select count(*) from pg_stat_activity where state like '%transaction%'")).toEqual([
    { values: [0] },
  ]);
});

test("a flipped byte in a table and a row too few are told by name, and the proof fails", async () => {
  const damaged = await copy("damaged");
  const counts = join(damaged.directory, COUNTS_PATH);
  await writeFile(counts, (await readFile(counts, "utf8")).replace('"rows": 2500', '"rows": 2501'));
  await using file = await open(join(damaged.directory, productFile), "r+");
  const at = 8192 - 20;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, at);
  await using other = await started(damaged, await context());
  const verdicts = await verdictsOf(other);
  expect(verdicts["base as its manifest says"]).toMatchObject({
    verdict: "fail",
    detail: expect.stringContaining(productFile),
  });
  expect(verdicts["dump (pg_dump)"]).toMatchObject({ verdict: "fail", detail: expect.stringContaining("product") });
  expect(verdicts["row counts"]?.verdict).toBe("fail");
});

test("a row count that differs is told with both figures", async () => {
  const counts = join(root, "running", COUNTS_PATH);
  const before = await readFile(counts, "utf8");
  await writeFile(counts, before.replace('"rows": 2500', '"rows": 2501'));
  const { "row counts": row } = await verdictsOf(sandbox);
  await writeFile(counts, before);
  expect(row).toEqual({ verdict: "fail", detail: "postgres.Sales.Order has 2500 rows, the source had 2501" });
});

test("WAL that is missing or short is refused by name before anything is started", async () => {
  const files = await treeFiles(original.directory);
  const segments = files.filter(({ path }) => /^pg_wal\/[0-9A-F]{24}$/.test(path));
  const last = segments.at(-1)?.path ?? "";
  expect(() =>
    layout(
      files.filter(({ path }) => path !== last),
      original.mark,
    ),
  ).toThrow(last);
  const short = files.map((file) => (file.path === last ? { ...file, size: 16 } : file));
  expect(() => layout(short, original.mark)).toThrow(/not whole/);
});

test("WAL that is damaged before the mark ends recovery, and no sandbox opens on what is left", async () => {
  const damaged = await copy("damaged-wal");
  const segments = (await treeFiles(damaged.directory)).filter(({ path }) => /^pg_wal\/[0-9A-F]{24}$/.test(path));
  const last = segments.at(-1);
  await writeFile(join(damaged.directory, last?.path ?? ""), Buffer.alloc(last?.size ?? 0));
  await expect(started(damaged, await context())).rejects.toMatchObject({
    code: "SANDBOX_FAILED",
    why: expect.stringMatching(/FATAL/),
  });
});

test("data of another version, and a machine without the programs, are STORE_NOT_INSTALLED", async () => {
  const given = await context();
  const none = { ...given, tools: {} };
  await expect(started(original, none)).rejects.toMatchObject({ code: "STORE_NOT_INSTALLED" });
  const other = join(root, "other-version");
  await mkdir(other);
  await writeFile(join(other, "PG_VERSION"), "12\n");
  await expect(started({ ...original, directory: other }, given)).rejects.toMatchObject({
    code: "STORE_NOT_INSTALLED",
    what: expect.stringContaining("12"),
  });
});

test("the server and all its processes end with the sandbox, also when it was aborted before", async () => {
  const it = await copy("ended");
  const stop = new AbortController();
  const other = await started(it, { ...(await context({ openSandboxes: true })), signal: stop.signal });
  const pid = Number((await readFile(join(it.directory, "postmaster.pid"), "utf8")).split("\n")[0]);
  const identity = await processIdentity(pid);
  if (identity === undefined) throw new Error("the server is not running");
  stop.abort(new StillpointError("CANCELLED", { what: "The run was cancelled" }));
  await other[Symbol.asyncDispose]();
  expect(await isAlive(identity)).toBe(false);
  await other[Symbol.asyncDispose]();
});

test("no time-out that the source gives a database reaches a program's first statement", async () => {
  const timeouts = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"];
  await using client = await connected(server.url());
  await client.query("set default_transaction_read_only = off");
  await client.query(timeouts.map((name) => `alter database template1 set ${name} = '1h'`).join(";"));
  const { PGOPTIONS: options = "" } = programEnvironment("", "", 15);
  const session = new pg.Client({ connectionString: server.url("template1"), options });
  await session.connect();
  const { rows } = await session.query(`select ${timeouts.map((name) => `current_setting('${name}') as ${name}`)}`);
  await session.end();
  expect(rows).toEqual([Object.fromEntries(timeouts.map((name) => [name, "0"]))]);
});
