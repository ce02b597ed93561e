import { randomUUID } from "node:crypto";
import { chmod, chown, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { shippedBackupId } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import { Secret } from "@stillpoint/contracts/secret";
import { postgresSource, type SourceSpec, sqliteSource } from "@stillpoint/contracts/source";
import type { Driver, DriverContext, Tools } from "@stillpoint/driver/driver";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { LogSink, ShipProgress } from "@stillpoint/driver/ship";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository } from "@stillpoint/repository/repository";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { ownBucket } from "@stillpoint/testkit/s3";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, it } from "vitest";
import { program } from "../src/commands.ts";
import { askAlone } from "./ask-alone.ts";
import { commandIn } from "./command-in.ts";
import { cuttableWay } from "./cuttable-way.ts";
import { run } from "./export-fixture.ts";
import { storeBackup } from "./store-backup.ts";
import { testWorld } from "./system-fixture.ts";

/** A source that is shipped into a repository, as agent and vault do it. */
type Shipped<Spec extends SourceSpec> = {
  source: string;
  driver: Driver<Spec>;
  spec: Spec;
  secret?: string;
  tools?: Tools;
};

/** `kept`: where its repository is, if not in the test's own directory. */
async function bench(kept?: { url: string; environment: Record<string, string> }) {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(await temporaryDirectory("cli-moment"));
  await chmod(directory.path, 0o711); // restored servers run as an account of their own, and pass through
  const at = (name: string) => join(directory.path, name);
  const { url, environment } = kept ?? { url: at("repository"), environment: {} };
  const where = ["--repository", url, "--key-file", at("key")];
  const run = commandIn(directory.path, { PATH: process.env.PATH, HOME: directory.path, ...environment });
  const stillpoint = (...words: string[]) => run(...words, ...where);
  expect(await stillpoint("repo", "init", "--new-identity")).toMatchObject({ code: 0 });
  const store = opening.use(await openObjectStore(url, { environment }));
  const opener = await configuredOpener({ keyFile: at("key") }, {});
  const repository = opening.use(await openRepository(store, { opener, threads: 0 }));
  const stop = new AbortController();
  const kill = new AbortController();
  const opened = opening.move();

  const contextFor = async ({ source, secret = "", tools = {} }: Shipped<never>): Promise<DriverContext> => {
    await mkdir(at(`work-${source}`), { recursive: true });
    return {
      directory: at(`work-${source}`),
      signal: kill.signal,
      secret: () => new Secret(secret),
      monotonicMs: () => performance.now(),
      now: () => Date.now(),
      log: () => undefined,
      tools,
    };
  };
  /** As a run of a point has it: a base, a mark, and the log from the base to the mark. */
  async function capture<Spec extends SourceSpec>(of: Shipped<Spec>, backupId: string): Promise<void> {
    await using captured = await of.driver.open(of.spec, await contextFor(of as Shipped<never>));
    await storeBackup(repository, of, backupId, "full", async (tree) => await captured.base(tree));
    await captured.settle();
    await captured.mark({ cutId: randomUUID(), budgetMs: 10_000, fenced: false });
    await storeBackup(repository, of, `${backupId}-log`, "log", async (tree) => await captured.finish(tree));
  }
  /** Ends when the bench does. */
  async function ship<Spec extends SourceSpec>(of: Shipped<Spec>) {
    let latest: ShipProgress | undefined;
    const by = { plan: "shop", source: of.source, fenceToken: 1 };
    const sink: LogSink = {
      closed: (range, write) => storeBackup(repository, of, shippedBackupId(by, range), "log", write, range),
      tail: async (range, bytes) => void (await repository.putTail(by, range, bytes)),
      gap: async ({ why }) => {
        throw new Error(`a gap: ${why}`);
      },
    };
    const progress = (told: ShipProgress) => {
      latest = told;
    };
    const options = {
      owner: "shop/test",
      flushMs: 200,
      retainMostBytes: 1e9,
      flushSoon: flushAsks().next,
      sink,
      progress,
      stop: stop.signal,
    };
    const shipping = of.driver.ship?.(of.spec, options, await contextFor(of as Shipped<never>)) ?? Promise.reject();
    shipping.catch(() => undefined);
    opened.defer(async () => {
      stop.abort();
      await shipping;
    });
    await waitFor(`${of.source} is shipped`, () => latest !== undefined);
    /** All that was written until now is held. */
    return async () => {
      const told = latest;
      await waitFor(`${of.source} is flushed`, () => latest !== told && latest?.lagBytes === 0);
    };
  }
  return { at, where, stillpoint, capture, ship, repository, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

it("a PostgreSQL comes back as it was at a time between two points, up to a transaction, and to the newest flush", async () => {
  await using server = await ownPostgres();
  const { bucket, endpoint, accessKeyId, secretAccessKey } = await ownBucket();
  const credentials = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  await using setup = await bench({ url: `s3://${bucket}/repository?endpoint=${endpoint}`, environment: credentials });
  const { at, stillpoint } = setup;
  const psql = async (text: string) => {
    const env = { ...process.env, PGPASSWORD: server.password };
    const to = ["-h", server.host, "-p", String(server.port), "-U", server.user, "-AtXq", "-c", text, "postgres"];
    return (await run(join(server.binDirectory, "psql"), to, { env })).stdout.trim();
  };
  const url = `postgres://${server.user}@127.0.0.1:${server.port}/postgres`;
  const of = {
    source: "orders",
    driver: postgresDriver,
    spec: postgresSource.parse({ kind: "postgres", url, password: "${env:P}" }),
    secret: server.password,
    tools: { postgresBin: server.binDirectory, serverUser: "postgres" },
  };
  await psql("create table probe (n int primary key)");
  const flushed = await setup.ship(of);
  await setup.capture(of, "base-1");
  await psql("insert into probe values (1)");
  const moment = await psql(`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
  const xid = await psql("begin; insert into probe values (2); select pg_current_xact_id(); commit");
  await psql("select pg_switch_wal()");
  await psql("insert into probe values (3)");
  await flushed();
  // What a capture carries of its own log ends in the middle of a segment, which a flush continues.
  await setup.capture(of, "base-2");
  await psql("insert into probe values (4)");
  await flushed();

  const rows = async (name: string, ...how: string[]) => {
    const given = ["--plan", "shop", "--source", "orders", "--to", at(name), "--json", ...how];
    const restored = await stillpoint("restore", ...given);
    expect(restored, restored.err).toMatchObject({ code: 0 });
    const { directory, mark } = JSON.parse(restored.out);
    await chmod(at(name), 0o711);
    const runtime = { id: "pg", version: "", arch: "", extensions: [], settings: {} };
    const work = { ...of, source: `sandbox-${name}` };
    await mkdir(at(`work-${work.source}`));
    const context: DriverContext = {
      directory: at(`work-${work.source}`),
      signal: new AbortController().signal,
      secret: () => new Secret(server.password),
      monotonicMs: () => performance.now(),
      now: Date.now,
      log: () => undefined,
      tools: { ...of.tools, openSandboxes: true },
    };
    await using sandbox = await postgresDriver.start({ directory, mark, runtime }, context);
    const query = { type: "statement" as const, id: "s", text: "select n from probe order by n" };
    const found = await Array.fromAsync(sandbox.query(query));
    return found.map((row) => ("values" in row ? Number(row.values[0]) : Number.NaN));
  };
  expect(await rows("at-time", "--at", moment)).toEqual([1]);
  expect(await rows("at-tx", "--at", `tx:${xid}`)).toEqual([1, 2]);
  expect(await rows("before-tx", "--at", `tx:${xid}`, "--exclusive")).toEqual([1]);
  expect(await rows("latest", "--at", "latest")).toEqual([1, 2, 3, 4]);

  // With the server of this machine, which is given the log as it asks for it.
  const environment = { ...process.env, ...credentials, STILLPOINT_POSTGRES_BIN: server.binDirectory };
  const recoverFrom = async (where: string[], ...how: string[]) => {
    const given = ["--plan", "shop", "--source", "orders", "--recover", "--json", ...how, ...where];
    return await commandIn(at(""), environment)("restore", ...given);
  };
  const recover = (...how: string[]) => recoverFrom(setup.where, "--to", at("here"), ...how);
  const stands = await recover("--at", `tx:${xid}`, "--exclusive", "--action", "shutdown");
  expect(stands, stands.err).toMatchObject({ code: 0 });
  expect(JSON.parse(stands.out)).toMatchObject({ opened: false, base: "base-1" });
  const further = await recover("--at", `tx:${xid}`);
  expect(further, further.err).toMatchObject({ code: 0 });
  const told = JSON.parse(further.out);
  expect(told).toMatchObject({
    opened: true,
    recovered: expect.stringContaining(`after commit of transaction ${xid}`),
  });
  const controlOf = async (directory: string) =>
    (await run(join(server.binDirectory, "pg_controldata"), [directory], { env: { LC_ALL: "C" } })).stdout;
  expect(await controlOf(told.directory)).toMatch(/cluster state: +shut down\n/);
  expect(await recover("--at", "latest")).toMatchObject({ err: expect.stringContaining("Nothing was restored") });
  const other = await recover("--at", "latest", "--timeline", "7");
  expect(other.err).toContain("no base has its log without a hole");

  const log = await stillpoint("log", "--plan", "shop", "--source", "orders", "--json");
  expect(JSON.parse(log.out)).toMatchObject({
    windows: [{ bases: ["base-1", "base-2"] }],
    holes: [],
    baseServes: true,
  });
  expect((await stillpoint("log", "--plan", "shop", "--source", "orders")).out).toContain("any moment from");
  const none = await stillpoint("log", "--plan", "shop", "--source", "nothing");
  expect(none.out).toContain("no moment of shop/nothing can be restored");

  const dry = await stillpoint(
    ...["restore", "--plan", "shop", "--source", "orders", "--to", at("dry"), "--at", "latest", "--dry-run"],
  );
  expect(dry.out).toContain("nothing was written");
  expect(dry.err).toContain("base base-2");
  const early = [
    "restore",
    "--plan",
    "shop",
    "--source",
    "orders",
    "--to",
    at("early"),
    "--at",
    "2020-01-01T00:00:00Z",
  ];
  expect((await stillpoint(...early)).err).toContain("nearest moments that can be had");
  const wrong = ["restore", "--plan", "shop", "--source", "orders", "--to", at("wrong"), "--at", "yesterday"];
  expect((await stillpoint(...wrong)).err).toContain("none of: latest");

  // The object store goes away while the server recovers, with more before it than is ever fetched ahead.
  for (let n = 5; n <= 18; n += 1) await psql(`insert into probe values (${n}); select pg_switch_wal()`);
  await flushed();
  await using way = await cuttableWay(Number(new URL(endpoint).port));
  const far = [
    "--repository",
    `s3://${bucket}/repository?endpoint=http://127.0.0.1:${way.port}`,
    "--key-file",
    at("key"),
  ];
  const cut = recoverFrom(far, "--to", at("cut"), "--at", "latest", "--patience", "1s");
  const taken = async () => (await readdir(at("cut/orders/stillpoint/archive/ready")).catch(() => [])).length > 0;
  await Promise.race([cut, waitFor("the log is fetched", taken)]);
  way.cut();
  const broken = await cut;
  expect(broken).toMatchObject({ code: 7, err: expect.stringContaining("it did not open") });
  expect(await controlOf(at("cut/orders"))).toMatch(/cluster state: +in archive recovery\n/);
  expect(await readdir(at("cut/orders"))).toContain("recovery.signal");
  expect((await readdir(at("cut/orders/pg_wal"))).filter((name) => name.endsWith(".history"))).toEqual([]);
  await way.mend();
  const mended = await recoverFrom(far, "--to", at("cut"), "--at", "latest");
  expect(mended, mended.err).toMatchObject({ code: 0 });
  expect(JSON.parse(mended.out)).toMatchObject({ opened: true });
  expect(await controlOf(at("cut/orders"))).toMatch(/Latest checkpoint's TimeLineID: +2\n/);
  const newest = "select max(n)::text as found from probe";
  expect(await askAlone(server.binDirectory, at("cut/orders"), newest)).toBe("18");

  // A log that makes a tablespace is given to the server that has it, and to no other of this machine.
  await mkdir(at("space"));
  const { uid, gid } = await stat(server.dataDirectory);
  await chown(at("space"), uid, gid);
  await psql(`create tablespace space location '${at("space")}'`);
  const making = await psql("select pg_walfile_name(pg_current_wal_lsn())");
  await psql("select pg_switch_wal()");
  await flushed();
  const given = async (name: string, ...more: string[]) => {
    const served = new AbortController();
    const setting = Promise.withResolvers<string>();
    const world = {
      ...testWorld(at("")),
      environment,
      signal: served.signal,
      out: (line: string) => setting.resolve(/sh (\S+)/.exec(line)?.[1] ?? line),
    };
    const words = ["wal", "serve", "--directory", at(name), "--plan", "shop", "--source", "orders", ...more];
    const serving = program(world).parseAsync(["node", "stillpoint", ...words, ...setup.where]);
    try {
      const client = await Promise.race([setting.promise, serving.then(() => "")]);
      return await run("sh", [client, making, at(`${name}.wal`)]).then(
        () => 0,
        (error: { code: number }) => error.code,
      );
    } finally {
      served.abort();
      await serving;
    }
  };
  expect(await given("theirs")).toBe(126);
  expect(await given("others", "--data", at("cut/orders"))).toBe(126);
  expect(await given("own", "--data", server.dataDirectory)).toBe(0);
});

it("an SQLite database comes back as it was at a time, with nothing that was committed after it", async () => {
  await using setup = await bench();
  const { at, stillpoint } = setup;
  await mkdir(at("app"));
  const path = at("app/shop.db");
  using database = new DatabaseSync(path);
  database.exec("pragma journal_mode=wal; create table probe (n integer primary key, at integer)");
  const of = { source: "sessions", driver: sqliteDriver, spec: sqliteSource.parse({ kind: "sqlite", path }) };
  const flushed = await setup.ship(of);
  const begunMs = performance.now();
  // A base stands on a log that is a second older than itself: so long may a look at all databases take.
  await waitFor("the log is old enough", () => performance.now() - begunMs > 1_500);
  await setup.capture(of, "base-1");
  const insert = database.prepare("insert into probe values (?, ?)");
  let n = 0;
  const writeFor = async (ms: number) => {
    for (const until = Date.now() + ms; Date.now() < until; await delay(20)) insert.run(++n, Date.now());
  };
  await writeFor(4_000);
  const momentMs = Date.now();
  await writeFor(3_000);
  await flushed();
  await flushed();

  const rows = async (name: string, moment: string) => {
    const given = ["--plan", "shop", "--source", "sessions", "--to", at(name), "--json", "--at", moment];
    const restored = await stillpoint("restore", ...given);
    expect(restored, restored.err).toMatchObject({ code: 0 });
    using copy = new DatabaseSync(join(JSON.parse(restored.out).directory, "shop.db"), { readOnly: true });
    expect(copy.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    return copy.prepare("select n, at from probe order by n").all() as { n: number; at: number }[];
  };
  const then = await rows("then", toInstant(momentMs));
  expect(then.length).toBeGreaterThan(0);
  expect(then.map((row) => row.n)).toEqual(then.map((_, i) => i + 1));
  expect(then.every((row) => row.at <= momentMs)).toBe(true);
  expect(await rows("newest", "latest")).toHaveLength(n);
  const wrong = ["restore", "--plan", "shop", "--source", "sessions", "--to", at("wrong"), "--at", "tx:7"];
  expect((await stillpoint(...wrong)).err).toContain("no transactions");
});
