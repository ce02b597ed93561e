// One opening of a repository with a large index, in a process of its own. Prints JSON.
import { randomFillSync } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { packName } from "../src/format/kinds.ts";
import { indexLoader } from "../src/index/index-loader.ts";
import { readIndex } from "../src/index/index-objects.ts";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { initRepository } from "../src/init-repository.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { openRepository } from "../src/repository.ts";
import { fillIndex, PACK_BYTES } from "./index-filler.ts";
import { type IndexMeasures, indexJob } from "./index-job.ts";

const PASSPHRASE = new Secret("a passphrase of the benchmark");
const LOOKUPS = 200_000;
const BACKUP_MIB = 256;
const random = (length: number) => randomFillSync(new Uint8Array(length));
const job = indexJob.parse(JSON.parse(process.argv[2] ?? ""));
await using store = await openObjectStore(job.url, { environment: process.env, create: job.action === "fill" });

async function fill(): Promise<number> {
  await initRepository(store, { passphrase: PASSPHRASE, random, now: Date.now });
  return (await fillIndex(store, PASSPHRASE, job.chunks, job.kind)).objects;
}

async function open(): Promise<number> {
  await using repository = await openRepository(store, { passphrase: PASSPHRASE, index: { directory: job.directory } });
  return repository.formatVersion;
}

const perSecond = (count: number, since: number) => (count / (performance.now() - since)) * 1_000;

async function lookUp() {
  const { ring } = await openKeyRing(store, PASSPHRASE);
  using index = openChunkIndex(ring.repositoryId, { directory: job.directory });
  await indexLoader(store, index, ring.epochs).load();
  const present: Uint8Array[] = [];
  for await (const { name } of store.list("index/")) {
    if (present.length >= LOOKUPS) break;
    for (const { entries } of (await readIndex(store, name, ring.epochs)).packs)
      present.push(...entries.map((entry) => Uint8Array.from(entry.name)));
  }
  const absent = Array.from({ length: LOOKUPS }, () => random(32));
  let found = 0;
  let since = performance.now();
  for (const name of absent) if (index.leanOn(name) !== undefined) found++;
  const absentPerSecond = perSecond(absent.length, since);
  since = performance.now();
  for (const name of present) if (index.leanOn(name) !== undefined) found++;
  const presentPerSecond = perSecond(present.length, since);
  if (found !== present.length) throw new Error(`${found} of ${present.length} chunks were found`);
  return { count: index.chunks, absentPerSecond, presentPerSecond };
}

/** New data into the large repository: every chunk is looked for, none is there. */
async function backUp(): Promise<number> {
  await using repository = await openRepository(store, { passphrase: PASSPHRASE, index: { directory: job.directory } });
  const writer = createTarWriter();
  const size = BACKUP_MIB * 2 ** 20;
  const adding = writer.add(
    { type: "file", path: "noise", mode: 0o600, mtimeMs: 0, size, hint: "content" },
    (async function* () {
      for (let at = 0; at < size; at += 2 ** 20) yield random(2 ** 20);
    })(),
  );
  adding.then(
    () => writer.end(),
    (error: unknown) => writer.fail(error),
  );
  const backupId = `bench-${Buffer.from(random(8)).toString("hex")}`;
  const { bytes } = await repository.writeBackup(
    {
      backupId,
      plan: "bench",
      source: "noise",
      kind: "files",
      type: "full",
      runId: "018f0000-0000-7000-8000-000000000000",
      startedAt: new Date().toISOString(),
    },
    writer.stream,
  );
  return bytes;
}

/** Every pack that indexes list, as a listing gives it: next to none of them is there, which a collection need not find out. */
async function withPacks(of: ObjectStore): Promise<ObjectStore> {
  const { ring } = await openKeyRing(of, PASSPHRASE);
  // In one memory each: what this takes must not be taken for the collection's.
  const ids = Buffer.alloc(32 * Math.ceil(job.chunks / 16));
  let count = 0;
  for await (const { name } of of.list("index/"))
    for (const { packId } of (await readIndex(of, name, ring.epochs)).packs) ids.write(packId, 32 * count++, "hex");
  const order = Uint32Array.from({ length: count }, (_, i) => 32 * i);
  order.sort((a, b) => ids.compare(ids, b, b + 32, a, a + 32));
  const storedMs = Date.now() - 30 * 86_400_000;
  const there = new Map((await Array.fromAsync(of.list("packs/"))).map((each) => [each.name, each]));
  async function* packs() {
    for (const at of order) {
      const name = packName(ids.toString("hex", at, at + 32));
      yield there.get(name) ?? { name, size: PACK_BYTES, modifiedMs: storedMs };
    }
  }
  return { ...of, list: (prefix, options) => (prefix === "packs/" ? packs() : of.list(prefix, options)) };
}

/** No root reaches any pack, so that all are looked at, held in memory, and condemned: as much as a collection can find. */
async function collect(): Promise<number> {
  const listing = await withPacks(store);
  await using repository = await openRepository(listing, {
    passphrase: PASSPHRASE,
    index: { directory: job.directory },
  });
  return (await repository.collectGarbage()).condemned.objects;
}

const ACTIONS = {
  fill: async () => ({ count: await fill() }),
  open: async () => ({ count: await open() }),
  "look up": lookUp,
  backup: async () => ({ count: await backUp() }),
  collect: async () => ({ count: await collect() }),
} as const;

const begun = performance.now();
const done = await ACTIONS[job.action]();
const measured: IndexMeasures = {
  ms: performance.now() - begun,
  peakRssMiB: process.resourceUsage().maxRSS / 1024,
  ...done,
};
process.stdout.write(JSON.stringify(measured));
