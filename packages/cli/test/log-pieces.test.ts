import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type LogRange, shippedBackupId } from "@stillpoint/contracts/log";
import { Secret } from "@stillpoint/contracts/secret";
import { sqliteSource } from "@stillpoint/contracts/source";
import { fetchedAhead } from "@stillpoint/driver/fetch-ahead";
import { moveOver } from "@stillpoint/driver/move-over";
import type { TarWriter } from "@stillpoint/driver/tar-writer";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { serve } from "@stillpoint/repository/log/serve";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { piecesFrom, repositoryLog } from "../src/log-pieces.ts";
import { storeBackup } from "./store-backup.ts";

const OF = { plan: "shop", source: "sessions" };
const PASSPHRASE = new Secret("a passphrase of the tests");
const CLOSED = 12;
const TAILS = 12;

/** Answers after a while, and tells what was asked for. */
function farStore(store: ObjectStore) {
  const calls: string[] = [];
  let under = 0;
  let most = 0;
  const later = async <Result>(call: string, work: () => Promise<Result>): Promise<Result> => {
    calls.push(call);
    most = Math.max(most, ++under);
    await delay(20);
    return await work().finally(() => under--);
  };
  const far: ObjectStore = {
    ...store,
    get: (name, ...how) => later(`get ${name}`, () => store.get(name, ...how)),
    put: (name, ...how) => later(`put ${name}`, () => store.put(name, ...how)),
    head: (name, ...how) => later(`head ${name}`, () => store.head(name, ...how)),
    delete: (name, ...how) => later(`delete ${name}`, () => store.delete(name, ...how)),
    async *list(prefix, ...how) {
      yield* await later(`list ${prefix}`, () => Array.fromAsync(store.list(prefix, ...how)));
    },
  };
  return { far, calls, mostAtOnce: () => most };
}

/** `packs`: of each closed stretch its own. A base, closed stretches from there on, and tails behind them. */
async function filledStore(): Promise<{ store: ObjectStore; packs: string[] }> {
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const store = memoryStore(Date.now);
  const packs: string[] = [];
  const scryptCost = { n: 1024, r: 8, p: 1 };
  await initRepository(store, { passphrase: PASSPHRASE, random, now: Date.now, scryptCost });
  {
    await using writing = await openRepository(store, { passphrase: PASSPHRASE, threads: 0 });
    const of = { ...OF, spec: sqliteSource.parse({ kind: "sqlite", path: "/a.db" }) };
    const range = (i: number): LogRange => {
      const place = (at: number) => String(at).padStart(4, "0");
      return { stream: "00000001", from: place(i), to: place(i + 1) };
    };
    const oneFile = (path: string) => async (tree: TarWriter) => {
      const body = Buffer.from(path);
      const entry = { type: "file", path, mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
      await tree.add(
        entry,
        (async function* () {
          yield body;
        })(),
      );
    };
    await storeBackup(writing, of, "base", "full", oneFile("base"), { ...range(0), to: "0000" });
    const by = { ...OF, fenceToken: 1 };
    const known = new Set((await Array.fromAsync(store.list("packs/"))).map(({ name }) => name));
    for (let i = 0; i < CLOSED; i += 1) {
      await storeBackup(writing, of, shippedBackupId(by, range(i)), "log", oneFile(`log/${range(i).from}`), range(i));
      const all = (await Array.fromAsync(store.list("packs/"))).map(({ name }) => name);
      packs.push(...all.filter((name) => !known.has(name)));
      for (const name of all) known.add(name);
    }
    for (let i = CLOSED; i < CLOSED + TAILS; i += 1) await writing.putTail(by, range(i), Buffer.from(`tail ${i}`));
  }
  return { store, packs };
}

it("a log is read many pieces at once, each object once, under one lease, and is laid in its order", async () => {
  await using directory = await temporaryDirectory("log-pieces");
  const { store } = await filledStore();
  const { far, calls, mostAtOnce } = farStore(store);
  await using repository = await openRepository(far, { passphrase: PASSPHRASE, threads: 0 });
  calls.length = 0;
  const laid: string[] = [];
  {
    await using held = new AsyncDisposableStack();
    const source = repositoryLog(repository, new AbortController().signal, held);
    const log = await source.sourceLog(OF);
    const { log: pieces } = piecesFrom(source, OF, log, serve(log, "newest"));
    await mkdir(join(directory.path, "to"));
    for await (const piece of fetchedAhead(pieces, join(directory.path, "to"))) {
      laid.push(piece.range.from);
      if (piece.type === "closed") await moveOver(piece.directory, join(directory.path, "to"));
      else expect(Buffer.from(piece.bytes).toString()).toBe(`tail ${Number(piece.range.from)}`);
    }
  }
  expect(laid).toEqual(Array.from({ length: CLOSED + TAILS }, (_, i) => String(i).padStart(4, "0")));
  expect(await readdir(join(directory.path, "to/log"))).toHaveLength(CLOSED);
  expect(mostAtOnce()).toBeGreaterThanOrEqual(8);
  const times = (start: string) => calls.filter((call) => call.startsWith(start));
  for (const kind of ["get backups/", "get tails/"]) {
    const names = times(kind);
    expect(names).toEqual([...new Set(names)]);
  }
  expect(times("get backups/")).toHaveLength(CLOSED + 1);
  expect(times("get tails/")).toHaveLength(TAILS);
  // Its tree, and what it holds.
  expect(times("get packs/")).toHaveLength(2 * CLOSED);
  expect(times("put leases/")).toHaveLength(1);
  expect(times("delete leases/")).toHaveLength(1);
  expect(times("list ").sort()).toEqual([
    "list backups/",
    "list condemned/",
    "list condemned/",
    expect.stringMatching("^list records/"),
    "list tails/sessions/",
  ]);
});

it("a stretch that is damaged is named where its turn is, one that is missing is a gap, and nothing fetched behind it stays", async () => {
  await using directory = await temporaryDirectory("log-pieces");
  const { store, packs } = await filledStore();
  const layAll = async () => {
    await using repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 0 });
    const source = repositoryLog(repository, new AbortController().signal);
    const log = await source.sourceLog(OF);
    const { log: pieces } = piecesFrom(source, OF, log, serve(log, { stream: "00000001", at: "0024" }));
    const laid: string[] = [];
    try {
      for await (const { range } of fetchedAhead(pieces, directory.path)) laid.push(range.from);
    } catch (error) {
      return { laid, error };
    }
    return { laid, error: undefined };
  };
  expect((await layAll()).laid).toHaveLength(CLOSED + TAILS);

  expect(packs).toHaveLength(CLOSED);
  const pack = packs[5] ?? "";
  const bytes = await store.get(pack);
  await store.put(
    pack,
    bytes.map((byte) => byte ^ 1),
  );
  const { laid, error } = await layAll();
  expect(error).toMatchObject({ code: "OBJECT_DAMAGED", where: pack });
  expect(laid).toHaveLength(5);
  expect(await readdir(directory.path)).toEqual([]);
  await store.put(pack, bytes);
  expect((await layAll()).error).toBeUndefined();

  await store.delete(
    `backups/${shippedBackupId({ ...OF, fenceToken: 1 }, { stream: "00000001", from: "0005", to: "0006" })}`,
  );
  await expect(layAll()).rejects.toMatchObject({ code: "LOG_GAP" });
});
