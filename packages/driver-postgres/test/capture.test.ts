import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { postgresDriver } from "../src/postgres-driver.ts";
import { COUNTS_PATH, rowCounts } from "../src/row-counts.ts";
import { captured, laidOut, marked, started, verdictsOf } from "./captured.ts";
import { connected, contextFor, sourceOf, tracesOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let client: Awaited<ReturnType<typeof connected>>;
let directories = 0;
const never = new AbortController().signal;

beforeAll(async () => {
  server = resources.use(
    await ownPostgres({ settings: { autovacuum: "off", restore_command: "exit 1", max_prepared_transactions: 5 } }),
  );
  root = resources.use(await temporaryDirectory("capture")).path;
  client = resources.use(await connected(server.url()));
});
afterAll(async () => await resources.disposeAsync());

/** A directory for one context or tree. */
async function fresh(): Promise<string> {
  directories += 1;
  const directory = join(root, String(directories));
  await mkdir(directory);
  return directory;
}
const open = async () => await postgresDriver.open(sourceOf(server), contextFor(server, await fresh(), never));
const counts = async (directory: string) =>
  rowCounts.parse(JSON.parse(await readFile(join(directory, COUNTS_PATH), "utf8")));

test("a killed agent leaves no slot behind", async () => {
  const script = new URL("./hold-capture.ts", import.meta.url).pathname;
  const agent = spawn(process.execPath, [script, String(server.port), server.user, await fresh()], {
    env: { PASSWORD: server.password },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void agent.kill("SIGKILL"));
  await once(agent.stdout, "data");
  const { rows } = await client.query("select temporary, active from pg_replication_slots");
  expect(rows).toEqual([{ temporary: true, active: true }]);
  agent.kill("SIGKILL");
  expect(await tracesOf(client)).toEqual([]);
});

test("a lost slot is SOURCE_LOST before the application is asked to be quiet", async () => {
  await using capture = await open();
  await capture.base(directoryTree(await fresh()));
  await client.query("select pg_terminate_backend(active_pid) from pg_replication_slots");
  await expect(marked(capture)).rejects.toMatchObject({ code: "SOURCE_LOST", retry: "backoff" });
});

test("an upload that fails gives its own error, and the base can be taken again", async () => {
  await using capture = await open();
  const failure = new Error("the vault is gone");
  let entries = 0;
  const failing = {
    async add() {
      entries += 1;
      if (entries > 5) throw failure;
      return { torn: false };
    },
    covers: async () => undefined,
  };
  await expect(capture.base(failing)).rejects.toBe(failure);
  await capture.base(directoryTree(await fresh()));
  await marked(capture);
  await expect(capture.finish({ ...failing, add: () => Promise.reject(failure) })).rejects.toBe(failure);
  await capture.finish(directoryTree(await fresh()));
});

test("rows are counted as they were at the mark, whatever is written, truncated or dropped after it", async () => {
  await client.query("create table kept as select generate_series(1, 10) n; create table emptied as table kept");
  await client.query("create table dropped as table kept");
  const directory = join(root, "counted");
  await captured(sourceOf(server), contextFor(server, await fresh(), never), directory, {
    afterMark: async () =>
      void (await client.query("insert into kept values (11); truncate emptied; drop table dropped")),
  });
  const { counted, skipped } = await counts(directory);
  expect(counted).toEqual([{ database: "postgres", schema: "public", table: "kept", rows: 10 }]);
  expect(skipped.map(({ table }) => table).sort()).toEqual(["dropped", "emptied"]);
  await client.query("drop table kept, emptied");
});

test("while a transaction is under way at the cut, nothing is claimed about rows", async () => {
  await client.query("create table pending (n int)");
  await using other = await connected(server.url());
  await other.query("begin; insert into pending values (1)");
  const directory = join(root, "uncounted");
  const { mark } = await captured(sourceOf(server), contextFor(server, await fresh(), never), directory);
  expect((await counts(directory)).counted).toEqual([]);
  expect(mark.notes.join()).toContain("transactions were under way");
});

test("a tablespace that came after the base asks for a new base", async () => {
  const location = await fresh();
  const { uid, gid } = await stat(server.dataDirectory);
  await chown(location, uid, gid);
  await using capture = await open();
  await capture.base(directoryTree(await fresh()));
  await client.query(`create tablespace late location '${location}'`);
  await expect(marked(capture)).rejects.toMatchObject({
    code: "SOURCE_CHANGED",
    why: expect.stringContaining("tablespace"),
  });
  await client.query("drop tablespace late");
});

test("tablespaces, several databases, a later timeline, WAL that moved on and prepared transactions come back", async () => {
  const location = await fresh();
  const { uid, gid } = await stat(server.dataDirectory);
  await chown(location, uid, gid);
  // The server goes on as after a fail-over: on timeline 2.
  await server.stop();
  await writeFile(join(server.dataDirectory, "recovery.signal"), "");
  await chown(join(server.dataDirectory, "recovery.signal"), uid, gid);
  await server.restart();
  await using writer = await connected(server.url());
  await waitFor("the server has been promoted", async () => {
    const { rows } = await writer.query("select pg_is_in_recovery() as still");
    return rows[0].still === false;
  });
  await writer.query(`create tablespace aside location '${location}'`);
  await writer.query("create database second");
  await using second = await connected(server.url("second"));
  await second.query('create table "Odd name" (n int primary key) tablespace aside; create unlogged table u (n int)');
  await second.query('insert into "Odd name" values (1), (2); insert into u values (1)');
  await writer.query("create table filled (n int primary key, payload text)");
  const directory = join(root, "everything");
  const it = await captured(sourceOf(server), contextFor(server, await fresh(), never), directory, {
    async duringBase() {
      for (const n of [1, 2, 3]) {
        await writer.query("insert into filled values ($1, repeat('x', 100000))", [n]);
        await writer.query("select pg_switch_wal()");
      }
      await writer.query("begin; insert into filled values (4, ''); prepare transaction 'later'");
    },
    afterMark: async () => void (await writer.query("commit prepared 'later'")),
  });
  expect(it.mark.position).toContain("timeline 2");
  expect(it.mark.notes.join()).toContain("second.public.u");
  await laidOut(it);
  await using sandbox = await started(it, contextFor(server, await fresh(), never));
  const verdicts = await verdictsOf(sandbox);
  expect(Object.entries(verdicts).filter(([, { verdict }]) => verdict !== "pass")).toEqual([]);
  const statement = (text: string) => Array.fromAsync(sandbox.query({ type: "statement", id: "s", text }));
  expect(await statement("select max(n), count(*) from filled")).toEqual([{ values: [3, 3] }]);
  expect(await statement("select gid from pg_prepared_xacts")).toEqual([{ values: ["later"] }]);
  expect(await statement("select count(*) from pg_tablespace where spcname = 'aside'")).toEqual([{ values: [1] }]);
  expect(verdicts["dump (pg_dump)"]?.detail).toContain("second");
});
