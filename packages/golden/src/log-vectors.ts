import { createHash } from "node:crypto";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gapId, type LogGap, type LogPosition, type LogRange, shippedBackupId } from "@stillpoint/contracts/log";
import type { SourceKind } from "@stillpoint/contracts/names";
import { Secret } from "@stillpoint/contracts/secret";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { NO_SYSTEM, tokenOf } from "@stillpoint/driver-neo4j/log-token";
import { joinTail } from "@stillpoint/driver-neo4j/tail-bytes";
import { memoryStore } from "@stillpoint/object-store/memory";
import { DEFAULT_CHUNKING } from "@stillpoint/repository/format/documents";
import { initRepository } from "@stillpoint/repository/init-repository";
import { findPointServing, piecesOf } from "@stillpoint/repository/log/point-log";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { layRead } from "./lay-read.ts";

export const LOG_PASSPHRASE = "a passphrase of the log's vectors";
const NOW_MS = Date.parse("2026-01-02T03:04:05.678Z");
const PLAN = "shop";

export type Read = { source: string; base: string; place: LogPosition };

export type LogVectors = {
  passphrase: string;
  /** A whole repository, by objects' names, in base64. */
  objects: Record<string, string>;
  gaps: { gap: LogGap; recordId: string }[];
  ids: { of: { plan: string; source: string; fenceToken: number }; range: LogRange; backupId: string }[];
  /** What a place is restored from: the objects in their order, and what comes of them laid over the base; or that there is a hole. */
  reads: (Read & ({ objects: string[]; laid: string[] } | { objects: "hole" }))[];
};

/** The same bytes every time; `zstd` makes little of them. */
function bytesOf(seed: string, length: number): Buffer {
  const block = createHash("sha256").update(seed).digest();
  return Buffer.alloc(length, block);
}

type Files = Record<string, Buffer>;

async function* tarOf(files: Files): AsyncGenerator<Uint8Array> {
  const tar = createTarWriter();
  const written = (async () => {
    for (const [path, body] of Object.entries(files)) {
      const entry = { type: "file", path, mode: 0o600, mtimeMs: NOW_MS, size: body.length, hint: "content" } as const;
      await tar.add(entry, Readable.from([body]));
    }
    tar.end();
  })();
  yield* tar.stream;
  await written;
}

type Writer = { repository: Repository; source: string; kind: SourceKind };

async function full({ repository, source, kind }: Writer, backupId: string, log: LogRange, files: Files) {
  const head = { backupId, plan: PLAN, source, kind, runId: "018f0000-0000-7000-8000-000000000001" };
  await repository.writeBackup({ ...head, type: "full", startedAt: "2026-01-02T03:04:05.000Z", log }, tarOf(files));
}

async function closed({ repository, source, kind }: Writer, log: LogRange, files: Files, fenceToken = 7) {
  const backupId = shippedBackupId({ plan: PLAN, source, fenceToken }, log);
  const head = { backupId, plan: PLAN, source, kind, runId: "018f0000-0000-7000-8000-000000000001" };
  await repository.writeBackup({ ...head, type: "log", startedAt: "2026-01-02T03:04:05.000Z", log }, tarOf(files));
}

const SEGMENT = 0x10000;
const lsn = (at: number) => at.toString(16).toUpperCase().padStart(16, "0");
/** PostgreSQL: three timelines, each of which left the one before; what two shippers stored twice; a gap. */
async function writeOrders(repository: Repository): Promise<{ gaps: LogGap[]; reads: Read[] }> {
  const writer = { repository, source: "orders", kind: "postgres" } as const;
  const at = (timeline: number, place: number): LogPosition => ({ stream: `0000000${timeline}`, at: lsn(place) });
  const range = (timeline: number, from: number, to: number, after?: LogPosition): LogRange => ({
    stream: `0000000${timeline}`,
    from: lsn(from),
    to: lsn(to),
    ...(after === undefined ? {} : { after }),
  });
  const tail = (of: LogRange, fenceToken = 7) =>
    repository.putTail(
      { plan: PLAN, source: "orders", fenceToken },
      of,
      bytesOf(`${of.stream} ${of.from}`, Number.parseInt(of.to, 16) - Number.parseInt(of.from, 16)),
    );
  const segment = (timeline: number, number: number) => ({
    [`pg_wal/0000000${timeline}000000000000000${number}`]: bytesOf(`segment ${number}`, SEGMENT),
  });
  const facts = Buffer.from(JSON.stringify({ start: "0/20000", end: "0/20100", segmentBytes: SEGMENT }));
  await full(writer, "orders-base", range(1, 0x20000, 0x20100), { "stillpoint/base.json": facts });
  await closed(writer, range(1, 0x20000, 0x30000), segment(1, 2));
  await tail(range(1, 0x30000, 0x30040));
  await tail(range(1, 0x30040, 0x30080));
  // The segment in which a timeline was left, as the next one has it; two shippers, of which the later one read further.
  await tail(range(2, 0x30000, 0x300c0, at(1, 0x30080)));
  await tail(range(2, 0x30000, 0x30100, at(1, 0x30080)), 9);
  await tail(range(2, 0x30100, 0x40000), 9);
  await closed(writer, range(2, 0x40000, 0x50000), segment(2, 4), 9);
  await closed(writer, range(3, 0x40000, 0x50000, at(2, 0x40100)), segment(3, 4), 9);
  await tail(range(2, 0x60000, 0x60010), 9);
  const about = { plan: PLAN, source: "orders", kind: "postgres", at: "2026-01-02T03:04:05.678Z" } as const;
  const gaps: LogGap[] = [
    { ...about, after: at(2, 0x50000), until: at(2, 0x60000), why: "the slot was lost" },
    { ...about, until: at(1, 0x20000), why: "nothing was held" },
    { ...about, after: at(2, 0x70000), why: "the server is another one" },
  ];
  const places = [at(1, 0x20100), at(1, 0x30044), at(2, 0x300f0), at(2, 0x50000), at(3, 0x40200), at(2, 0x60008)];
  return { gaps, reads: places.map((place) => ({ source: "orders", base: "orders-base", place })) };
}

/** Neo4j: places of 40 digits, and the log of users and rights in closed stretches, in tails, and in tails alone. */
async function writeGraph(repository: Repository): Promise<Read[]> {
  const writer = { repository, source: "graph", kind: "neo4j" } as const;
  const stream = "00112233445566778899aabbccddeeff";
  const place = (logVersion: number, offset: number, system: readonly [number, number] = [0, 0]) =>
    tokenOf({ logVersion, offset, system: { logVersion: system[0], offset: system[1] } });
  const file = (database: string, version: number) =>
    `data/transactions/${database}/neostore.transaction.db.${version}`;
  const [log3, log4] = [bytesOf("log 3", 400), bytesOf("log 4", 400)];
  const [users0, users1] = [bytesOf("users 0", 220), bytesOf("users 1", 60)];
  const base = place(3, 200, [0, 150]);
  await full(
    writer,
    "graph-base",
    { stream, from: base, to: base },
    {
      "data/databases/neo4j/neostore": bytesOf("neostore", 100),
      "data/databases/system/neostore": bytesOf("neostore of system", 100),
      [file("neo4j", 3)]: log3.subarray(0, 200),
      [file("system", 0)]: users0.subarray(0, 150),
    },
  );
  await closed(
    writer,
    {
      stream,
      from: tokenOf({ logVersion: 3, offset: 0, system: NO_SYSTEM }),
      to: place(4, 0, [0, 140]),
    },
    { [file("neo4j", 3)]: log3, "shipped/system/neostore.transaction.db.0": users0.subarray(0, 180) },
  );
  const tail = async (from: string, to: string, bytes: Buffer, users?: { at: [number, number]; bytes: Buffer }) => {
    const system = users && { at: { logVersion: users.at[0], offset: users.at[1] }, bytes: users.bytes };
    await repository.putTail(
      { plan: PLAN, source: "graph", fenceToken: 7 },
      { stream, from, to },
      joinTail(bytes, system),
    );
  };
  const steps = [
    place(4, 0, [0, 140]),
    place(4, 100, [0, 140]),
    place(4, 160, [0, 220]),
    place(4, 160, [1, 30]),
    place(4, 300, [1, 60]),
  ] as const;
  await tail(steps[0], steps[1], log4.subarray(0, 100));
  // What the closed stretch has of it already lies there.
  await tail(steps[1], steps[2], log4.subarray(100, 160), { at: [0, 140], bytes: users0.subarray(140, 220) });
  await tail(steps[2], steps[3], Buffer.alloc(0), { at: [1, 0], bytes: users1.subarray(0, 30) });
  await tail(steps[3], steps[4], log4.subarray(160, 300), { at: [1, 0], bytes: users1 });
  return [base, place(3, 300, [0, 150]), place(4, 160, [0, 220]), place(4, 200, [1, 45]), place(4, 301)].map((at) => ({
    source: "graph",
    base: "graph-base",
    place: { stream, at },
  }));
}

/** What this release reads for a place, as objects' names, and makes of it in a new directory. */
export async function readFor(
  repository: Repository,
  read: Read,
  directory: string,
): Promise<LogVectors["reads"][number]> {
  const of = { plan: PLAN, source: read.source };
  const log = await repository.sourceLog(of);
  const serving = findPointServing(log, read);
  if (serving === undefined) return { ...read, objects: "hole" };
  const objects = piecesOf(log, serving).pieces.map((piece) =>
    piece.type === "closed" ? `backups/${piece.backupId}` : `tails/${piece.id}`,
  );
  return { ...read, objects, laid: await layRead(repository, { ...read, objects }, directory) };
}

/** Made with randomness and a clock that are the same every time; `directory` is for what is laid. */
export async function makeLogVectors(directory: string): Promise<LogVectors> {
  const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
  const store = memoryStore(() => NOW_MS, objects);
  const passphrase = new Secret(LOG_PASSPHRASE);
  let drawn = 0;
  const random = (length: number) => {
    const parts = Array.from({ length: Math.ceil(length / 32) }, () =>
      createHash("sha256").update(`log vectors ${drawn++}`).digest(),
    );
    return new Uint8Array(Buffer.concat(parts).subarray(0, length));
  };
  const now = () => NOW_MS;
  const scryptCost = { n: 1024, r: 8, p: 1 };
  await initRepository(store, { passphrase, random, now, chunking: DEFAULT_CHUNKING, scryptCost });
  await using repository = await openRepository(store, { passphrase, threads: 0, random, now });
  const orders = await writeOrders(repository);
  const graph = await writeGraph(repository);
  for (const gap of orders.gaps) await repository.sealGap(gap);
  const { stream, at } = graph[0]?.place ?? { stream: "", at: "" };
  const ranges: [string, LogRange][] = [
    ["orders", { stream: "00000001", from: lsn(0x20000), to: lsn(0x30000) }],
    ["graph", { stream, from: at, to: graph[2]?.place.at ?? at }],
  ];
  const ids = ranges.map(([source, range]) => {
    const of = { plan: PLAN, source, fenceToken: 7 };
    return { of, range, backupId: shippedBackupId(of, range) };
  });
  const reads: LogVectors["reads"] = [];
  for (const [n, read] of [...orders.reads, ...graph].entries()) {
    reads.push(await readFor(repository, read, join(directory, String(n))));
  }
  const kept = [...objects].filter(([name]) => !name.startsWith("leases/")).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    passphrase: LOG_PASSPHRASE,
    objects: Object.fromEntries(kept.map(([name, { bytes }]) => [name, Buffer.from(bytes).toString("base64")])),
    gaps: orders.gaps.map((gap) => ({ gap, recordId: gapId(gap) })),
    ids,
    reads,
  };
}
