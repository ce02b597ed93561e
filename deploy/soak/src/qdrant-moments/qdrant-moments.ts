import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { Secret } from "@stillpoint/contracts/secret";
import { qdrantSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext } from "@stillpoint/driver/driver";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { connect } from "@stillpoint/driver-qdrant/cluster";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";
import { previewInto, restoreInto } from "@stillpoint/driver-qdrant/restore-into";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { startQdrant } from "@stillpoint/parts/qdrant-server";
import type { Repository } from "@stillpoint/repository/repository";
import { below, fraction, type Random, randomOf } from "@stillpoint/sample/random";
import { numbersOf } from "../numbers.ts";
import { ownRepository } from "../own-repository.ts";
import { judgeVectors } from "./judge-vectors.ts";
import {
  call,
  createCollection,
  readState,
  startWriter,
  type VectorServer,
  type VectorWriter,
} from "./vector-store.ts";

const USAGE = `npm run soak -- qdrant-moments [--restores 20] [--seed N] [--pause 2] [--every 900] [--apart 3000]
  --pause N    milliseconds between two writes of a writer
  --every N    milliseconds between two optimizations, which run for as long at most
  --apart N    milliseconds between two points at most`;

/** By the number of their shards. */
const COLLECTIONS = { one: 1, several: 3 } as const;
const DOUBLE = join(import.meta.dirname, "../../../../packages/testkit/qdrant-double");

type Soak = {
  source: VectorServer;
  target: VectorServer;
  writers: VectorWriter[];
  repository: Repository;
  directory: string;
  random: Random;
  signal: AbortSignal;
};

/**
 * Points of a Qdrant at drawn moments, its writers held for the cut or not, while optimizations come and go that lose deletes;
 * each is restored from a repository into another server. Everything that was acknowledged before the cut is there, nothing
 * that was sent after it; and where the writers were held, or a collection has one shard, all of it is one moment.
 */
export async function soakQdrantMoments(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { restores, seed, pause, every, apart } = numbersOf(
    args,
    { restores: 20, seed: ownSeed, pause: 2, every: 900, apart: 3_000 },
    USAGE,
  );
  const say = (line: string) => world.out(`${line}\n`);
  await using resources = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-vectors-"));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  // There is no Qdrant to fetch: what runs is the double, which imitates the flaw.
  const part = await ensureQdrantDouble({ directory: world.partsDirectory }, DOUBLE);
  const start = async (name: string) => {
    await mkdir(join(directory, name));
    return resources.use(await startQdrant({ part, dir: join(directory, name) }));
  };
  const [source, target] = [await start("source"), await start("target")];
  say(`qdrant-moments: ${restores} restores, seed ${seed}, on the test double`);
  for (const [name, shards] of Object.entries(COLLECTIONS)) await createCollection(source, name, shards);
  const writers = Object.keys(COLLECTIONS).map((name) => startWriter(source, name, pause));
  const random = randomOf("qdrant-moments", seed);
  const stop = new AbortController();
  const optimizing = optimize(source, randomOf("optimizations", seed), every, stop.signal);
  optimizing.catch(() => undefined); // awaited below
  const repository = resources.use(await ownRepository(join(directory, "repository")));
  const soak = { source, target, writers, repository, directory, random, signal: world.signal };
  const violations: string[] = [];
  for (let round = 1; round <= restores; round += 1) {
    world.signal.throwIfAborted();
    await wait(fraction(random) * apart);
    const isFenced = below(random, 3) > 0;
    const { words, wrong } = await pointAndBack(soak, round, isFenced).catch((error: unknown) => failed(world, error));
    say(`${wrong.length === 0 ? "✓" : "✗"} ${round}: ${words}`);
    for (const each of wrong) say(`    ${each}`);
    violations.push(...wrong);
  }
  stop.abort();
  const optimizations = await optimizing;
  for (const writer of writers) await writer.stop();
  const written = writers.map(({ name, counts }) => `${counts.acknowledged} of ${name}`).join(", ");
  say(`writes acknowledged: ${written}; ${optimizations} optimizations`);
  return violations;
}

/** A restore that does not pass its own checks is what is looked for here. */
function failed({ signal }: World, error: unknown): { words: string; wrong: string[] } {
  signal.throwIfAborted();
  const { code, message, why } = toStillpointError(error, "The restore failed");
  return { words: code, wrong: [`${message}: ${why ?? "no reason was given"}`] };
}

/** Optimizations that run for a drawn time, one after the other. How many there were. */
async function optimize(source: VectorServer, random: Random, everyMs: number, stop: AbortSignal): Promise<number> {
  const names = Object.keys(COLLECTIONS);
  for (let count = 0; ; count += 1) {
    const durationMs = Math.round(fraction(random) * everyMs);
    const name = names[below(random, names.length)] ?? "one";
    // One that runs still, on the same collection, is refused; it serves as well.
    await call(source, "POST", `/double/collections/${name}/optimization`, { durationMs }).catch(() => undefined);
    await wait(everyMs, undefined, { signal: stop }).catch(() => undefined); // told to end: seen below
    if (stop.aborted) return count + 1;
  }
}

async function pointAndBack(soak: Soak, round: number, isFenced: boolean): Promise<{ words: string; wrong: string[] }> {
  const { target, writers, repository, directory, random, signal } = soak;
  const own = join(directory, `round-${round}`);
  await mkdir(own);
  await using capture = await openCapture(soak, own);
  await capture.settle();
  await wait(fraction(random) * 300);
  const before = new Map<string, number>();
  const releases: (() => void)[] = [];
  if (isFenced) releases.push(...(await Promise.all(writers.map((writer) => writer.hold()))));
  let mark: Mark;
  const after = new Map<string, number>();
  try {
    for (const { name, counts } of writers) before.set(name, counts.acknowledged);
    mark = await capture.mark({ cutId: randomUUID(), budgetMs: 20_000, fenced: isFenced });
    for (const { name, counts } of writers) after.set(name, counts.sent);
  } finally {
    for (const release of releases) release();
  }
  const storedBytes = await store(repository, `b${round}`, capture);
  const tree = join(own, "tree");
  await mkdir(tree);
  await repository.restoreFiles(`b${round}`, tree, { signal });
  const peers = connect(target, new Secret(target.apiKey));
  const { runtime } = capture.description;
  const wishes = { collections: [], rename: new Map(), stamp: `r${round}`, inPlace: false, keepAliases: false };
  const { plan } = await previewInto(peers, { mark, runtime }, wishes, signal);
  const { restored, checks } = await restoreInto(peers, plan, { directory: tree, mark, say: () => undefined, signal });
  const wrong: string[] = [];
  for (const [name, shards] of Object.entries(COLLECTIONS)) {
    const there = await readState(target, restored[name] ?? name);
    const acknowledged = before.get(name) ?? 0;
    const sent = after.get(name) ?? 0;
    const judged = judgeVectors(there, { acknowledged, sent, whole: isFenced || shards === 1 });
    wrong.push(...judged.map((each) => `${name}, ${acknowledged} to ${sent} writes: ${each}`));
    await call(target, "DELETE", `/collections/${restored[name] ?? name}`);
  }
  await rm(own, { recursive: true });
  const cut = isFenced ? "writers held" : `writers going on${mark.fuzzy === undefined ? "" : ", fuzzy"}`;
  return { words: `${cut}: ${mark.position}; ${storedBytes} bytes stored, ${checks} checks passed`, wrong };
}

async function openCapture({ source, signal }: Soak, directory: string): Promise<Capture> {
  const context: DriverContext = {
    directory,
    signal,
    secret: () => new Secret(source.apiKey),
    monotonicMs: () => performance.now(),
    now: Date.now,
    log: () => undefined, // the soak says what it finds itself
    tools: {},
  };
  const spec = qdrantSource.parse({ kind: "qdrant", url: source.url, apiKey: "${env:KEY}" });
  return await qdrantDriver.open(spec, context);
}

/** The bytes are read while writers go on. What they added to the repository. */
async function store(repository: Repository, backupId: string, capture: Capture): Promise<number> {
  const tar = createTarWriter();
  const filled = capture.finish(tar).then(
    () => tar.end(),
    (error: unknown) => tar.fail(error),
  );
  const head = {
    backupId,
    plan: "soak",
    source: "vectors",
    kind: "qdrant",
    type: "full",
    runId: randomUUID(),
  } as const;
  const { storedBytes } = await repository.writeBackup({ ...head, startedAt: new Date().toISOString() }, tar.stream);
  await filled;
  return storedBytes;
}
