import { randomUUID } from "node:crypto";
import { cp, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LogRange } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext } from "@stillpoint/driver/driver";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import type { LogPiece } from "@stillpoint/driver/recover";
import type { LogSink, ShipProgress } from "@stillpoint/driver/ship";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import { type SharedNeo4j, sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import neo4j, { type Driver } from "neo4j-driver";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { markAt } from "../src/log-target.ts";
import { placeOf } from "../src/log-token.ts";
import { detailOf, physicalDetail } from "../src/mark-detail.ts";
import { neo4jDriver } from "../src/neo4j-driver.ts";
import { recoverLog } from "../src/recover.ts";
import { shipNeo4j } from "../src/ship.ts";
import { SUM, startBank, type Transfer } from "./bank.ts";
import { heldLog } from "./held-log.ts";
import { contextOf, neo4jTools, specOf } from "./subject.ts";

// A start of a server, beside other test files that start theirs.
vi.setConfig({ testTimeout: 300_000 });

const resources = new AsyncDisposableStack();
let server: SharedNeo4j;
let client: Driver;
let directory: TemporaryDirectory;
let context: (label: string) => Promise<DriverContext>;
beforeAll(async () => {
  directory = resources.use(await temporaryDirectory("neo4j-shipped"));
  server = resources.use(await sharedNeo4j());
  client = resources.use(neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password)));
  const tools = await neo4jTools();
  context = async (label) => {
    const own = join(directory.path, label);
    await mkdir(own, { mode: 0o700 });
    return contextOf(server, tools, own);
  };
});
afterAll(async () => await resources.disposeAsync());

const physical = (mark: Mark) => physicalDetail.parse(mark.detail);
const PASSWORD = randomUUID();
const onSystem = async (cypher: string) => await client.executeQuery(cypher, {}, { database: "system" });

/** Users of the tests' server, gone again when disposed. */
function users() {
  const made: string[] = [];
  return {
    async create(name: string) {
      made.push(name);
      await onSystem(`CREATE USER ${name} SET PASSWORD '${PASSWORD}' CHANGE NOT REQUIRED`);
    },
    async [Symbol.asyncDispose]() {
      for (const name of made) await onSystem(`DROP USER ${name} IF EXISTS`);
    },
  };
}

/** Which of the users can log in to a server that is started on a restored directory. */
async function whoLogsIn(home: string, names: readonly string[]): Promise<string[]> {
  await mkdir(join(home, "data/dbms"), { recursive: true });
  await writeFile(join(home, "password"), server.password);
  await using restored = await startNeo4j({ part: await ensureNeo4j({ directory: PARTS_DIRECTORY }), dir: home });
  const found: string[] = [];
  for (const name of names) {
    await using driver = neo4j.driver(restored.url, neo4j.auth.basic(name, PASSWORD));
    const answer = await driver.executeQuery("RETURN 1").catch((error: unknown) => error);
    if (!(answer instanceof Error)) found.push(name);
    else expect(answer).toMatchObject({ code: "Neo.ClientError.Security.Unauthorized" });
  }
  return found;
}

/** A shipper that dies in the middle of its work and is started again from what the sink holds, until it is told to end. */
async function shipWithDeaths(held: ReturnType<typeof heldLog>, given: DriverContext, stop: AbortSignal) {
  let calls = 0;
  let deaths = 0;
  const told: ShipProgress[] = [];
  /** Every third call: the shipper dies before it is stored, or after that and before it knows. */
  const mortal = async (store: () => Promise<void>) => {
    calls += 1;
    const dies = calls % 3 === 0 && !stop.aborted;
    if (dies) deaths += 1;
    if (dies && calls % 2 === 0) throw new Error("killed");
    await store();
    if (dies) throw new Error("killed");
  };
  const sink: LogSink = {
    closed: async (range, write) => await mortal(async () => await held.sink.closed(range, write)),
    tail: async (range, bytes) => await mortal(async () => await held.sink.tail(range, bytes)),
    gap: held.sink.gap,
  };
  for (;;) {
    const from = held.newest === undefined ? {} : { from: held.newest };
    const options = {
      owner: "test",
      flushMs: 100,
      retainMostBytes: 1,
      flushSoon: flushAsks().next,
      sink,
      stop,
      ...from,
    };
    try {
      await shipNeo4j(specOf(server), { ...options, progress: (progress) => told.push(progress) }, given);
      return { deaths, told };
    } catch (error) {
      if (!(error instanceof Error) || error.message !== "killed") throw error;
    }
  }
}

test("what writers do while a shipper dies and is started again comes back to any transaction and moment", async () => {
  await using people = users();
  await people.create("before_base");
  await using bank = await startBank(client);
  const written = async (transfers: number) =>
    await waitFor("the writers are ahead", async () => bank.transfers.length >= transfers, 60_000);
  const held = heldLog(join(directory.path, "held"), "neo4j");
  await mkdir(join(directory.path, "held"));
  const stop = new AbortController();
  const shipping = shipWithDeaths(held, await context("ship"), stop.signal);
  shipping.catch(() => undefined); // awaited below
  await written(100);

  const restored = join(directory.path, "restored");
  await mkdir(restored, { mode: 0o700 });
  const tree = directoryTree(restored);
  const covered: LogRange[] = [];
  const capture = await neo4jDriver.open(specOf(server), await context("capture"));
  await capture.base({ add: tree.add, covers: async (range) => void covered.push(range) });
  const { runtime } = capture.description;
  await capture[Symbol.asyncDispose]();
  const base = covered.at(-1);
  if (base === undefined) throw new Error("the base did not say what it covers");
  await people.create("after_base");
  const sinceBase = bank.transfers.length;

  await written(sinceBase + 400);
  await waitFor("the log was rotated", async () => held.closed.length >= 2, 60_000);
  await bank.stop();
  await people.create("after_all");
  stop.abort();
  const { deaths, told } = await shipping;
  expect(deaths).toBeGreaterThan(2);
  expect(held).toMatchObject({ holes: [], gaps: [] });
  expect(told.at(-1)).toEqual({ held: held.newest, server: held.newest, lagBytes: 0 });
  expect(base.stream).toBe(held.newest?.stream);

  const alone = await markAt(
    restored,
    base,
    { to: "newest" },
    { cutId: randomUUID(), signal: new AbortController().signal },
  );
  const { floor, txId: aloneTxId } = physical(alone);
  expect(aloneTxId, "without its log a base is at its own end").toBe(floor);

  await cp(join(directory.path, "held/data"), join(restored, "data"), { recursive: true });
  const copyFile = async (range: LogRange, to: string) => {
    const { logVersion } = placeOf(range.from);
    const path = `data/transactions/neo4j/neostore.transaction.db.${logVersion}`;
    await cp(join(directory.path, "held", path), join(to, path));
  };
  const options = { cutId: randomUUID(), signal: new AbortController().signal };
  const last = Math.max(...bank.transfers.map(({ txId }) => txId));
  const newest = await markAt(restored, base, { to: "newest" }, { ...options, shippedTo: held.newest?.at });
  expect(newest.notes, "users and rights are whole").toHaveLength(1);
  expect(detailOf(newest)).toMatchObject({ format: "physical", txId: last });
  for (const wrong of [1, last + 1]) {
    const outside = markAt(restored, base, { to: "transaction", txId: wrong }, options);
    await expect(outside).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  }

  // Behind those that were under way when the user was made.
  const after = bank.transfers.slice(sinceBase + 50);
  const random = () => after[Math.floor(Math.random() * after.length)] as Transfer; // there are hundreds
  for (let tries = 20; tries > 0; tries -= 1) {
    const ms = random().acknowledgedMs;
    const { txId } = physical(await markAt(restored, base, { to: "moment", ms }, options));
    const wrong = bank.transfers.filter((each) =>
      each.acknowledgedMs < ms ? each.txId > txId : each.askedMs > ms && each.txId <= txId,
    );
    expect(wrong, `everything acknowledged before ${ms}, nothing begun after it`).toEqual([]);
  }

  const { txId } = random();
  const isOpen = ({ from }: LogRange) => !held.closed.some((each) => each.from <= from && from < each.to);
  const tails = held.tails
    .filter(isOpen)
    .map((range): LogPiece => ({ type: "tail", range, read: async () => held.bytesOf(range) }));
  const closed = held.closed.map(
    (range): LogPiece => ({ type: "closed", range, extract: (to) => copyFile(range, to) }),
  );
  const log = [...closed, ...tails].sort((a, b) => (a.range.from < b.range.from ? -1 : 1));
  const target = { by: "transaction", id: String(txId), inclusive: true } as const;
  const mark = await recoverLog({ directory: restored, base, log, target, cutId: options.cutId }, options);
  await applyLayout(restored, neo4jDriver.layout(await treeFiles(restored), mark));
  const home = join(directory.path, "home");
  await cp(restored, home, { recursive: true });
  expect(await whoLogsIn(home, ["before_base", "after_base", "after_all"])).toEqual(["before_base", "after_base"]);
  await using sandbox = await neo4jDriver.start({ directory: restored, mark, runtime }, await context("sandbox"));
  const ask = async (text: string) => await Array.fromAsync(sandbox.query({ type: "statement", id: "ask", text }));
  const found = await ask("MATCH (t:Transfer) RETURN t.worker + '/' + t.seq");
  const there = new Set(found.map((row) => ("values" in row ? row.values[0] : row)));
  const isThere = ({ worker, seq }: Transfer) => there.has(`${worker}/${seq}`);
  // A bookmark is of the newest transaction, which may be another's: what was asked for behind it came later.
  const behindMs = Math.min(...bank.transfers.filter((each) => each.txId >= txId).map((each) => each.acknowledgedMs));
  const missing = bank.transfers.filter((each) => each.txId <= txId && !isThere(each));
  const beyond = bank.transfers.filter((each) => each.askedMs > behindMs && isThere(each));
  expect({ missing, beyond }, `up to tx ${txId} and no further`).toEqual({ missing: [], beyond: [] });
  expect(await ask("MATCH (a:Account) RETURN sum(a.balance)")).toEqual([{ values: [SUM] }]);
  const checks = await Array.fromAsync(sandbox.query({ type: "store", id: "store" }));
  expect(checks.map((check) => ("name" in check ? [check.name, check.verdict] : check))).toEqual([
    ["recovery", "pass"],
    ["indexes", "pass"],
    ["constraints", "pass"],
    ["consistency", "pass"],
  ]);

  // A file that the server removes before it was read to its end; what is behind it is shipped.
  const from = held.tails.find(({ to }) => held.closed.some((range) => range.from <= to && to < range.to));
  if (from === undefined) throw new Error("no tail of a closed file was shipped");
  const pruned = placeOf(from.to).logVersion;
  const path = join(server.dataDirectory, "transactions/neo4j", `neostore.transaction.db.${pruned}`);
  const second = heldLog(join(directory.path, "second"), "neo4j");
  await mkdir(join(directory.path, "second"));
  await rename(path, join(directory.path, "pruned"));
  try {
    const position = { stream: from.stream, at: from.to };
    const shipped = {
      owner: "test",
      flushMs: 100,
      retainMostBytes: 1,
      flushSoon: flushAsks().next,
      sink: second.sink,
      progress: () => undefined,
    };
    await shipNeo4j(specOf(server), { ...shipped, from: position, stop: AbortSignal.abort() }, await context("gap"));
    expect(second.gaps).toEqual([
      {
        after: position,
        until: { stream: from.stream, at: second.closed[0]?.from ?? second.tails[0]?.from },
        why: expect.stringContaining("db.tx_log.rotation.retention_policy"),
      },
    ]);
    expect(placeOf(second.gaps[0]?.until?.at ?? "")).toMatchObject({ logVersion: pruned + 1, offset: 0 });
    expect(second.newest).toEqual(held.newest);
  } finally {
    await rename(join(directory.path, "pruned"), path);
  }
});

test("a source without its files is refused with what to set", async () => {
  const options = {
    owner: "test",
    flushMs: 100,
    retainMostBytes: 1,
    flushSoon: flushAsks().next,
    sink: heldLog(directory.path, "neo4j").sink,
    progress: () => undefined,
    stop: AbortSignal.abort(),
  };
  await expect(shipNeo4j(specOf(server, false), options, await context("bolt"))).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    hint: expect.stringContaining("data"),
  });
});
