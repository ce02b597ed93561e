import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chown, cp, mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Secret } from "@stillpoint/contracts/secret";
import type { Sandbox } from "@stillpoint/driver/driver";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import type { LogPiece } from "@stillpoint/driver/recover";
import type { LogSink, ShipOptions, ShipProgress } from "@stillpoint/driver/ship";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { recoverServed } from "../src/archive/recover-served.ts";
import { BASE_PATH, parseBaseFacts } from "../src/base-facts.ts";
import { connect } from "../src/connection.ts";
import { logRangeOf, walPositionOf } from "../src/log-position.ts";
import { parseLsn, segmentStart } from "../src/lsn.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import type { RecoveryTarget } from "../src/recovery-target.ts";
import { dropSlot, makeSlot, shipSlotName } from "../src/ship-slot.ts";
import { sourceAddress } from "../src/source-address.ts";
import { directorySink, gapsIn, heldIn, piecesIn } from "./directory-sink.ts";
import { recovered, takenBase } from "./recovering.ts";
import { shipOptions } from "./ship-options.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";
import { LOAD_TABLES, writeLoad } from "./write-load.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let client: Awaited<ReturnType<typeof connected>>;
let directories = 0;
const never = new AbortController().signal;

beforeAll(async () => {
  server = resources.use(await ownPostgres({ settings: { restore_command: "exit 1", checkpoint_timeout: "30s" } }));
  root = resources.use(await temporaryDirectory("ship")).path;
  client = resources.use(await connected(server.url()));
  await client.query(LOAD_TABLES);
});
afterAll(async () => await resources.disposeAsync());

async function fresh(name = "own"): Promise<string> {
  directories += 1;
  const directory = join(root, `${name}-${directories}`);
  await mkdir(directory);
  return directory;
}

type Shipping = AsyncDisposable & {
  latest: () => ShipProgress | undefined;
  /** Told so well that it flushes and ends. */
  stop: () => Promise<void>;
  /** What it ended with. */
  ended: Promise<unknown>;
};

/** Ships into a directory in this process, from what the directory holds. */
async function shipping(
  directory: string,
  changes: Partial<ShipOptions> = {},
  more: { user?: string; password?: string; port?: number; monotonicMs?: () => number } = {},
): Promise<Shipping> {
  const [stop, kill] = [new AbortController(), new AbortController()];
  let latest: ShipProgress | undefined;
  const from = await heldIn(directory);
  const options = shipOptions({
    owner: directory,
    ...(from === undefined ? {} : { from }),
    sink: directorySink(directory),
    progress: (progress) => {
      latest = progress;
    },
    stop: stop.signal,
    ...changes,
  });
  const { port = server.port, monotonicMs = () => performance.now() } = more;
  const context = { ...contextFor(server, await fresh(), kill.signal, more), monotonicMs };
  const done =
    postgresDriver.ship?.(sourceOf({ ...server, port }, more), options, context) ??
    Promise.reject(new Error("no ship"));
  const ended = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  return {
    latest: () => latest,
    ended,
    async stop() {
      stop.abort();
      await done;
    },
    async [Symbol.asyncDispose]() {
      kill.abort();
      await ended;
    },
  };
}

const here = async () => (await client.query("select pg_current_wal_flush_lsn()::text as lsn")).rows[0].lsn as string;
const holds = async (directory: string, lsn: string) =>
  await waitFor(`the sink holds ${lsn}`, async () => {
    const held = await heldIn(directory);
    return held !== undefined && walPositionOf(held).at >= parseLsn(lsn);
  });
const number = async (sandbox: Sandbox, text: string) => {
  const [row] = await Array.fromAsync(sandbox.query({ type: "statement", id: "s", text }));
  return row !== undefined && "values" in row ? Number(row.values[0]) : Number.NaN;
};

test("under load and killed in mid-flight again and again, the log has no hole and any moment of it comes back", async () => {
  const directory = join(root, "shipped");
  await mkdir(directory);
  const script = new URL("./ship-until-killed.ts", import.meta.url).pathname;
  const start = async () => {
    const process_ = spawn(process.execPath, [script, String(server.port), server.user, directory], {
      env: { PASSWORD: server.password },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void process_.kill("SIGKILL"));
    await once(process_.stdout, "data");
    process_.stdout.resume();
    return process_;
  };
  let shipper = await start();
  await using others = new AsyncDisposableStack();
  const loads = [];
  for (const writer of [1, 2]) {
    loads.push(others.use(writeLoad(others.use(await connected(server.url())), writer)));
  }
  const base = join(root, "base");
  await takenBase(sourceOf(server), contextFor(server, await fresh(), never), base);
  await client.query("create table probe (n int primary key)");
  type Moment = { n: number; lsn: string; time: string; before: number[]; after: number[] };
  const moments: Moment[] = [];
  for (let n = 1; n <= 60; n += 1) {
    await client.query("insert into probe values ($1)", [n]);
    const before = loads.map((load) => load.acknowledged());
    const { rows } = await client.query(
      `select pg_current_wal_flush_lsn()::text as lsn, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time`,
    );
    moments.push({ n, ...rows[0], before, after: loads.map((load) => load.acknowledged()) });
    if (n % 15 === 0) {
      shipper.kill("SIGKILL");
      await once(shipper, "exit");
      if (n === 30) await client.query("select pg_switch_wal()");
      shipper = await start();
    }
  }
  await others.disposeAsync();
  await client.query("insert into probe values (1000)");
  await holds(directory, await here());
  shipper.kill("SIGKILL");
  expect(await gapsIn(directory)).toEqual([]);
  const pieces = await piecesIn(directory);
  expect(pieces.filter(({ kind }) => kind === "closed").length).toBeGreaterThan(1);
  expect(pieces.filter(({ kind }) => kind === "tail").length).toBeGreaterThan(1);

  const chosen = [7, 29, 52].map((n) => moments[n + Math.floor(Math.random() * 7)]);
  for (const [index, moment] of chosen.entries()) {
    if (moment === undefined) throw new Error("there is no such moment");
    const target =
      index === 1 ? ({ by: "time", at: moment.time } as const) : ({ by: "lsn", at: parseLsn(moment.lsn) } as const);
    const given = { base, shipped: directory, directory: join(root, `restored-${index}`) };
    await using sandbox = await recovered(given, target, contextFor(server, await fresh(), never));
    expect(await number(sandbox, "select max(n) from probe")).toBe(moment.n);
    expect(await number(sandbox, "select sum(balance) from account")).toBe(0);
    for (const [at, writer] of [1, 2].entries()) {
      const there = await number(sandbox, `select max(n) from transfer where writer = ${writer}`);
      expect(there).toBeGreaterThanOrEqual(moment.before[at] ?? 0);
      expect(there).toBeLessThanOrEqual((moment.after[at] ?? 0) + 1);
      expect(await number(sandbox, `select count(*) from transfer where writer = ${writer}`)).toBe(there);
    }
  }
  const given = { base, shipped: directory, directory: join(root, "restored-latest") };
  await using newest = await recovered(given, { by: "latest" }, contextFor(server, await fresh(), never));
  expect(await number(newest, "select max(n) from probe")).toBe(1000);
});

test("a time after the last commit is the end of the log, and what recovery says of it is told", async () => {
  const directory = join(root, "restored-late");
  const given = { base: join(root, "base"), shipped: join(root, "shipped"), directory };
  const at = new Date(Date.now() + 3_600_000).toISOString();
  await using late = await recovered(given, { by: "time", at }, contextFor(server, await fresh(), never));
  expect(await number(late, "select max(n) from probe")).toBe(1000);
  expect(late.recovered).toContain("redo done at");
});

test("damage in the middle of the log is not taken for its end", async () => {
  const shipped = join(root, "shipped-damaged");
  await promisify(execFile)("cp", ["-a", join(root, "shipped"), shipped]);
  const closed = (await piecesIn(shipped)).filter(({ kind }) => kind === "closed").at(-1);
  const path = join(closed?.path ?? "", "pg_wal");
  await using file = await open(join(path, (await readdir(path))[0] ?? ""), "r+");
  await file.write(Buffer.alloc(8192, 1), 0, 8192, 1_048_576);
  const given = { base: join(root, "base"), shipped, directory: join(root, "restored-damaged") };
  await expect(recovered(given, { by: "latest" }, contextFor(server, await fresh(), never))).rejects.toMatchObject({
    code: "SANDBOX_FAILED",
    why: expect.stringContaining("its log was read up to"),
  });
});

test("a slot that is gone is one gap, and the log goes on behind it", async () => {
  const directory = await fresh("gone");
  await using first = await shipping(directory);
  await holds(directory, await here());
  await first.stop();
  const before = await heldIn(directory);
  await client.query("select pg_drop_replication_slot($1)", [shipSlotName(directory)]);
  await client.query("select pg_switch_wal(); insert into transfer values (9, 1, ''); checkpoint");
  await using second = await shipping(directory);
  await holds(directory, await here());
  await second.stop();
  const [gap, ...others] = await gapsIn(directory);
  expect(others).toEqual([]);
  expect(gap).toMatchObject({ after: before, why: expect.stringContaining("no replication slot") });
  const begins = (await piecesIn(directory)).map(({ range: { stream, from } }) => ({ stream, at: from }));
  expect(begins).toContainEqual(gap?.until);
  await using third = await shipping(directory);
  await client.query("insert into transfer values (9, 2, '')");
  await holds(directory, await here());
  await third.stop();
  expect(await gapsIn(directory)).toHaveLength(1);
});

test("a slot is made also while checkpoints begin ahead of what is flushed", async () => {
  await using checkpoints = await connected(server.url());
  await using writer = await connected(server.url());
  const address = sourceAddress(sourceOf(server));
  const options = { address, password: new Secret(server.password), signal: never, what: "Cannot make a slot" };
  await using sql = await connect(options);
  await using replication = await connect({ ...options, replication: true });
  let isDone = false;
  const all = [
    [checkpoints, "checkpoint"],
    [writer, "select pg_logical_emit_message(false, 'test', repeat('x', 500))"],
  ] as const;
  const busy = all.map(async ([by, text]) => {
    while (!isDone) await by.query(text);
  });
  try {
    for (let turn = 0; turn < 40; turn += 1) {
      await makeSlot(replication, sql, "made_in_haste");
      await dropSlot(replication, "made_in_haste");
    }
  } finally {
    isDone = true;
    await Promise.all(busy);
  }
});

test("a slot that is taken away while it is read from ends the shipper, and the next one records the gap", async () => {
  const directory = await fresh("taken");
  await using first = await shipping(directory);
  await holds(directory, await here());
  const name = shipSlotName(directory);
  await client.query("select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1", [name]);
  expect(await first.ended).toMatchObject({ code: "SOURCE_LOST", retry: "backoff" });
  await client.query("select pg_drop_replication_slot($1)", [name]);
  await using second = await shipping(directory);
  await waitFor("a gap is recorded", async () => (await gapsIn(directory)).length > 0);
  await holds(directory, await here());
  await second.stop();
  expect(await gapsIn(directory)).toHaveLength(1);
});

test("an idle server does not lag; a sink that stands still is seen to, and past its bound the slot goes before the disk fills", async () => {
  const directory = await fresh("stalled");
  const sink = directorySink(directory);
  const gate = Promise.withResolvers<void>();
  let open = true;
  const pass = async () => {
    if (!open) await gate.promise;
  };
  const stalling = {
    closed: async (...given: Parameters<typeof sink.closed>) => await pass().then(() => sink.closed(...given)),
    tail: async (...given: Parameters<typeof sink.tail>) => await pass().then(() => sink.tail(...given)),
    gap: sink.gap,
  };
  await using shipper = await shipping(directory, { sink: stalling, retainMostBytes: 40_000_000 });
  const lag = () => shipper.latest()?.lagBytes;
  await waitFor("everything is shipped", () => lag() === 0);
  const idle = shipper.latest();
  expect(idle?.held).toEqual(idle?.server);

  open = false;
  await client.query("insert into transfer values (8, 1, '')");
  await waitFor("the lag is told", () => (lag() ?? 0) > 0);
  const slots = async () =>
    (await client.query("select 1 from pg_replication_slots where slot_name = $1", [shipSlotName(directory)])).rows
      .length;
  expect(await slots()).toBe(1);
  for (const n of [2, 3, 4, 5]) {
    await client.query("select pg_switch_wal()");
    await client.query("insert into transfer values (8, $1, '')", [n]);
  }
  await waitFor("the slot is dropped", async () => (await slots()) === 0);
  expect(await gapsIn(directory)).toEqual([]);

  open = true;
  gate.resolve();
  await waitFor("the log goes on", async () => lag() === 0 && (await slots()) === 1);
  const gaps = await gapsIn(directory);
  expect(gaps).toHaveLength(1);
  expect(gaps[0]?.why).toMatch(/40000000 are allowed: its slot was dropped/);
  const letGo = async () =>
    await postgresDriver.letGo?.(sourceOf(server), directory, contextFor(server, await fresh(), never));
  await expect(letGo()).rejects.toMatchObject({ code: "SOURCE_UNREACHABLE", retry: "backoff" });
  await shipper.stop();
  expect(await slots()).toBe(1);
  for (let again = 0; again < 2; again += 1) await letGo();
  expect(await slots()).toBe(0);
});

test("a busy server is read from once for each flush, a calm one all the time, and what was written until the stop is there", async () => {
  const directory = await fresh("busy");
  const flushMs = 300;
  await using first = await shipping(directory, { flushMs });
  const isRead = async () => {
    const { rows } = await client.query("select active from pg_replication_slots where slot_name = $1", [
      shipSlotName(directory),
    ]);
    return rows[0]?.active as boolean | undefined;
  };
  const senders = async () => {
    const { rows } = await client.query("select pid from pg_stat_activity where backend_type = 'walsender'");
    return rows.length;
  };
  await client.query("create table bulk (n int, filler text)");
  const write = () =>
    client.query("insert into bulk select n, repeat('x', 900) from generate_series(1, 200) as few (n)");
  await waitFor("it is left alone, without a connection that every commit would wake", async () => {
    await write();
    return (await isRead()) === false && (await senders()) === 0;
  });
  const alone = await here();
  await waitFor("its log is fetched nevertheless", async () => {
    await write();
    const held = await heldIn(directory);
    return held !== undefined && walPositionOf(held).at > parseLsn(alone);
  });
  await waitFor("it is left alone again", async () => {
    await write();
    return (await isRead()) === false;
  });
  await write();
  const last = await here();
  await first.stop();
  await holds(directory, last);

  await using second = await shipping(directory, { flushMs });
  await waitFor("it writes little, and is listened to", isRead);
  await client.query("insert into bulk values (0, '')");
  await holds(directory, await here());
  expect(await isRead()).toBe(true);
  await second.stop();
  expect(await gapsIn(directory)).toEqual([]);
});

test("what is asked for is flushed though no flush is due; what was written while it is, by one flush more", async () => {
  const directory = await fresh("asked");
  const asks = flushAsks();
  const own = directorySink(directory);
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let [isHeldUp, tails] = [false, 0];
  const sink: LogSink = {
    ...own,
    async tail(range, bytes) {
      tails += 1;
      if (isHeldUp) {
        begun.resolve();
        await gate.promise;
      }
      await own.tail(range, bytes);
    },
  };
  await using shipper = await shipping(directory, { sink, flushMs: 3_600_000, flushSoon: asks.next });
  await holds(directory, await here());
  const write = async (n: number) => {
    await client.query("insert into transfer values (6, $1, '')", [n]);
    return await here();
  };
  const first = await write(1);
  asks.ask();
  await holds(directory, first);

  isHeldUp = true;
  await write(2);
  asks.ask();
  await begun.promise;
  const before = tails;
  const last = await write(3);
  for (let again = 0; again < 10; again += 1) asks.ask();
  isHeldUp = false;
  gate.resolve();
  await holds(directory, last);
  // What comes between two looks at the server may be one more.
  expect(tails - before).toBeLessThanOrEqual(3);
  await shipper.stop();
  expect(await gapsIn(directory)).toEqual([]);
});

test("a stream that has gone dead is ended, though its connection stands", async () => {
  const streams: Socket[] = [];
  const proxy = createServer((near) => {
    const far = createConnection({ host: "127.0.0.1", port: server.port });
    streams.push(far);
    near.pipe(far).pipe(near);
    const end = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void proxy.close());
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo; // it listens on an address, not on a path
  let later = 0;
  const directory = await fresh("dead");
  await using shipper = await shipping(directory, {}, { port, monotonicMs: () => performance.now() + later });
  await waitFor("everything is shipped", () => shipper.latest()?.lagBytes === 0);
  // The connection that asks is opened first, and then the one that brings the WAL.
  streams.at(-1)?.unpipe();
  streams.at(-1)?.pause();
  await client.query("insert into transfer values (7, 1, '')");
  await waitFor("the lag is told", () => (shipper.latest()?.lagBytes ?? 0) > 0);
  later = 61_000;
  expect(await shipper.ended).toMatchObject({ code: "SOURCE_LOST", why: expect.stringContaining("no WAL came") });
});

test("REPLICATION is right enough; without it, or without a free slot, the setting to change is named", async () => {
  await client.query(
    "create role shipper login replication password 'secret'; create role nobody login password 'secret'",
  );
  const directory = await fresh("rights");
  await using shipper = await shipping(directory, {}, { user: "shipper", password: "secret" });
  await holds(directory, await here());
  await shipper.stop();
  await using denied = await shipping(directory, {}, { user: "nobody", password: "secret" });
  expect(await denied.ended).toMatchObject({ code: "SOURCE_DENIED", hint: expect.stringContaining("REPLICATION") });

  const taken = "select pg_create_physical_replication_slot('taken_' || n) from generate_series(1, $1) n";
  const { rows } = await client.query("select 10 - count(*) as free from pg_replication_slots");
  await client.query(taken, [rows[0].free]);
  await using none = await shipping(await fresh("none"));
  expect(await none.ended).toMatchObject({ hint: expect.stringContaining("max_replication_slots") });
  await client.query(
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'taken%'",
  );
});

/** The server, which was stopped, comes back on a timeline of its own. */
async function promoted(): Promise<void> {
  const { uid, gid } = await stat(server.dataDirectory);
  await writeFile(join(server.dataDirectory, "recovery.signal"), "");
  await chown(join(server.dataDirectory, "recovery.signal"), uid, gid);
  await server.restart();
  client = resources.use(await connected(server.url()));
  await waitFor("it has been promoted", async () => {
    const { rows } = await client.query("select pg_is_in_recovery() as still");
    return rows[0].still === false;
  });
}

/** What a sink holds, as a recovery takes it. */
async function served(shipped: string, base: string, directory: string) {
  await promisify(execFile)("cp", ["-a", base, directory]);
  const facts = parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8"));
  const log = (await piecesIn(shipped)).map(({ kind, range, path }): LogPiece => {
    if (kind === "tail") return { type: "tail", range, read: () => readFile(path) };
    const extract = (to: string, file = "") => cp(join(path, file), join(to, file), { recursive: true });
    return { type: "closed", range, extract };
  });
  return {
    ...{ directory, log, action: "promote" as const, cutId: randomUUID() },
    base: logRangeOf(facts.timeline, segmentStart(facts.start, facts.segmentBytes), facts.end),
  };
}

test("a server that stops has given its last byte, and one that comes back on another timeline is followed without a gap", async () => {
  const directory = await fresh("switched");
  await using first = await shipping(directory);
  await client.query("create table history (n int); insert into history values (1)");
  const base = join(root, "base-before");
  await holds(directory, await here());
  await takenBase(sourceOf(server), contextFor(server, await fresh(), never), base);
  await client.query("insert into history values (2)");
  // The base's end filled a segment: until the server is seen to be calm again, nobody listens when it stops.
  let listened = 0;
  await waitFor("it is listened to, and not looked at", async () => {
    const { rows } = await client.query("select active from pg_replication_slots where slot_name = $1", [
      shipSlotName(directory),
    ]);
    listened = rows[0]?.active === true ? listened + 1 : 0;
    return listened === 20;
  });
  await holds(directory, await here());
  await server.stop();
  expect(await first.ended).toMatchObject({ code: "SOURCE_LOST" });

  await promoted();
  await client.query("insert into history values (3)");
  await using second = await shipping(directory);
  await holds(directory, await here());
  expect(await gapsIn(directory)).toEqual([]);
  const pieces = await piecesIn(directory);
  expect(pieces.some(({ range }) => range.stream === "00000002" && range.after?.stream === "00000001")).toBe(true);
  // Of the new timeline there are tails alone, and none of them carries its history.
  expect(pieces.filter(({ kind, range }) => kind === "closed" && range.stream === "00000002")).toEqual([]);
  const given = { base, shipped: directory };
  const latest = { ...given, directory: join(root, "restored-tails") };
  await using tails = await recovered(latest, { by: "latest" }, contextFor(server, await fresh(), never));
  expect(await number(tails, "select max(n) from history")).toBe(3);
  // Fetched as it goes: the server asks for the history itself, which is made of what the tails say.
  const directoryServed = join(root, "served-tails");
  const input = { ...(await served(directory, base, directoryServed)), target: { by: "latest" } as const };
  const opened = await recoverServed(input, contextFor(server, await fresh(), never, { openSandboxes: true }));
  expect(opened.recovered).toContain("redo done at");
  const { stdout } = await promisify(execFile)(join(server.binDirectory, "pg_controldata"), [directoryServed]);
  expect(stdout).toMatch(/Latest checkpoint's TimeLineID: +3\n/);

  const { rows } = await client.query("insert into history values (4) returning pg_current_xact_id()::text as xid");
  await client.query("select pg_create_restore_point('before five')");
  await client.query("insert into history values (5)");
  await client.query("select pg_switch_wal()");
  await holds(directory, await here());
  await second.stop();
  const more = await piecesIn(directory);
  const closed = more.find(({ kind, range }) => kind === "closed" && range.stream === "00000002");
  expect(await readdir(join(closed?.path ?? "", "pg_wal"))).toContain("00000002.history");
  const targets: [string, RecoveryTarget, number][] = [
    ["name", { by: "name", name: "before five" }, 4],
    ["after", { by: "xid", xid: rows[0].xid, inclusive: true }, 4],
    ["immediate", { by: "immediate" }, 1],
  ];
  for (const [name, target, expected] of targets) {
    const it = { ...given, directory: join(root, `restored-${name}`) };
    await using sandbox = await recovered(it, target, contextFor(server, await fresh(), never));
    expect([name, await number(sandbox, "select max(n) from history")]).toEqual([name, expected]);
  }
});

test("a timeline that was left deep in a segment, beyond what is held of it, is recovered over before the next one closes any", async () => {
  const directory = await fresh("deep");
  await using first = await shipping(directory);
  await client.query("create table deep (n int); insert into deep values (1); select pg_switch_wal()");
  await holds(directory, await here());
  const base = join(root, "base-deep");
  await takenBase(sourceOf(server), contextFor(server, await fresh(), never), base);
  await holds(directory, await here());
  await first.stop();
  await client.query("create table filler as select n, repeat('x', 900) as t from generate_series(1, 7000) as few (n)");
  await client.query("insert into deep values (2)");
  await server.stop();
  await promoted();
  await using second = await shipping(directory);
  await client.query("insert into deep values (3)");
  const { rows } = await client.query(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time`,
  );
  await client.query("insert into deep values (4)");
  await holds(directory, await here());
  await second.stop();
  expect(await gapsIn(directory)).toEqual([]);
  const pieces = await piecesIn(directory);
  const { stream } = pieces.at(-1)?.range ?? {};
  const [begins, ...more] = pieces.filter(({ range }) => range.stream === stream);
  expect(begins?.range.after?.stream).not.toBe(stream);
  expect(more.every(({ range }) => range.after === undefined)).toBe(true);
  const { from = "", after } = begins?.range ?? {};
  expect(BigInt(`0x${after?.at}`) - BigInt(`0x${from}`)).toBeGreaterThan(4n << 20n);

  for (const [name, target, expected] of [
    ["newest", { by: "latest" }, 4],
    ["time", { by: "time", at: rows[0].time }, 3],
  ] as const) {
    const input = { ...(await served(directory, base, join(root, `deep-${name}`))), target };
    await recoverServed(input, contextFor(server, await fresh(), never, { openSandboxes: true }));
    const it = { base, shipped: directory, directory: join(root, `deep-laid-${name}`) };
    await using sandbox = await recovered(it, target, contextFor(server, await fresh(), never));
    expect([name, await number(sandbox, "select max(n) from deep")]).toEqual([name, expected]);
  }
});
