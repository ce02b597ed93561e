import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import {
  compared,
  measured,
  middle,
  type OwnRun,
  type Run,
  rate,
  runOurs,
  runPeer,
  stages,
  throughputs,
} from "@stillpoint/repository/bench/compare";
import { atMost, type Figure, figure } from "@stillpoint/repository/bench/figure";
import { makeSmallFiles, type SetFile } from "@stillpoint/repository/bench/mixed-set";
import { directoryBytes, emptyFiles, type Peer, peersHere } from "@stillpoint/repository/bench/peers";
import type { Area, AreaOptions } from "./area.ts";
import { emptyBucket } from "./bucket.ts";
import { runByHttp } from "./http-path.ts";
import { touchMemory } from "./machine.ts";
import { makeMixedSet } from "./mixed-cluster.ts";
import { pageSums, postgresSet } from "./postgres-set.ts";

const PARTS = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));

type Bench = AreaOptions & { base: string; peers: readonly Peer[] };
/** The set: where it lies, its files, and the list of these for other processes. */
type Data = { root: string; files: SetFile[]; filesJson: string };

async function listed(base: string, name: string, root: string, files: SetFile[]): Promise<Data> {
  const filesJson = join(base, `${name}.json`);
  await writeFile(filesJson, JSON.stringify(files));
  return { root, files, filesJson };
}

/** Rounds of all tools in turn, so that what else the machine does meets all of them; each finds memory that was used before. */
async function rounds(bench: Bench, data: Data): Promise<{ peers: Run[]; own: OwnRun; http: OwnRun }> {
  const { base, log } = bench;
  const peerRuns = new Map<Peer, Run[]>(bench.peers.map((peer) => [peer, []]));
  const ownRuns: OwnRun[] = [];
  const httpRuns: OwnRun[] = [];
  const { root, filesJson } = data;
  const place = () => mkdtemp(join(base, "run-"));
  for (let round = 1; round <= bench.rounds; round++) {
    log(`round ${round} of ${bench.rounds}`);
    for (const [peer, runs] of peerRuns) {
      await touchMemory();
      runs.push(await runPeer(peer, await place(), root, log));
    }
    log("stillpoint from files: backup, unchanged backup, restore");
    await touchMemory();
    const local = await place();
    ownRuns.push(await runOurs({ url: join(local, "repository"), root, filesJson }, {}, join(local, "restored")));
    await emptyFiles(local);
    log("stillpoint through agent, tar, HTTP and vault: the same");
    await touchMemory();
    const byHttp = await place();
    const url = join(byHttp, "repository");
    httpRuns.push(await runByHttp({ url, root, filesJson, environment: {}, target: join(byHttp, "restored") }));
    await emptyFiles(byHttp);
  }
  return { peers: [...peerRuns.values()].map(middle), own: middle(ownRuns), http: middle(httpRuns) };
}

/** restic at its default and kopia at zstd-fastest are what is to be beaten; others stand beside. */
const rivals = (peers: readonly Run[]) => {
  const found = peers.filter(({ name }) => /^(restic|kopia) /.test(name));
  return found.length > 0 ? found : peers;
};

async function localFigures(bench: Bench, data: Data): Promise<Figure[]> {
  const { peers, own, http } = await rounds(bench, data);
  const kopia = peers.filter(({ name }) => name.startsWith("kopia"));
  const others = peers.filter((peer) => !kopia.includes(peer));
  const density = { name: "stored bytes of the data's", value: own.bytes / own.storedBytes, unit: "×" };
  const densityOf = (peer: Run) => own.bytes / peer.storedBytes;
  return [
    ...throughputs("local, from files", own, rivals(peers), { backup: 1.5, restore: 1.5 }),
    ...throughputs("local, agent to vault", http, rivals(peers), { backup: 1, restore: 1 }),
    ...compared(density, others, densityOf),
    ...compared(density, kopia, densityOf, 1 / 1.05),
    ...compared(
      { name: "unchanged second backup", value: rate(own.bytes, own.again.ms), unit: "MB/s" },
      rivals(peers),
      (peer) => rate(own.bytes, peer.again.ms),
    ),
    {
      ...figure("unchanged second backup, times faster than the first", own.backup.ms / own.again.ms, "×"),
      goal: 3,
      met: own.backup.ms / own.again.ms >= 3,
    },
    atMost("unchanged second backup, stored", (100 * own.againBytes) / own.bytes, "%", 0.5),
    ...stages("backup from files", own.first),
    ...stages("restore to files", own.restored),
    ...stages("backup by HTTP, the vault", http.first),
    ...stages("restore by HTTP, the vault", http.restored),
  ];
}

async function s3Figures(bench: Bench, data: Data): Promise<Figure[]> {
  const { base, log } = bench;
  const peers: Run[] = [];
  for (const peer of bench.peers.filter(({ name }) => !name.startsWith("borg"))) {
    await touchMemory();
    await using bucket = await emptyBucket(PARTS, log);
    if (bucket === undefined) return [];
    log(`to and from S3: ${peer.name}`);
    peers.push(await runPeer(peer, await mkdtemp(join(base, "run-")), data.root, log, bucket.peer));
  }
  await using bucket = await emptyBucket(PARTS, log);
  if (bucket === undefined) return [];
  log("to and from S3: stillpoint");
  await touchMemory();
  const { url, environment } = bucket;
  const own = await runOurs(
    { url, root: data.root, filesJson: data.filesJson },
    environment,
    join(base, "restored-s3"),
  );
  return [
    ...throughputs("S3, from files", own, rivals(peers), { backup: 1.2, restore: 1.2 }),
    ...stages("backup to S3", own.first),
    ...stages("restore from S3", own.restored),
  ];
}

/** PostgreSQL's directory after pgbench changed a part of its pages, beside what restic adds for it. */
async function changedFigures(bench: Bench, cluster: ReturnType<typeof postgresSet>): Promise<Figure[]> {
  const { base, log } = bench;
  const root = join(base, "cluster-copy");
  const restic = bench.peers.find(({ name }) => name.startsWith("restic"));
  const figures: Figure[] = [];
  for (const { part, transactionsPer, goal } of [
    { part: 5, transactionsPer: 0.026, goal: 1 / 3 },
    { part: 16, transactionsPer: 0.1, goal: 1 / 2 },
  ]) {
    let data = await listed(base, "cluster", root, await cluster.copyTo(root));
    const { sums, changed: all } = await pageSums(root, data.files);
    const url = join(base, `changed-${part}`);
    const job = { url, root, filesJson: data.filesJson };
    await measured({ ...job, action: "init", backupId: "none" });
    await measured({ ...job, action: "backup", backupId: "before" });
    const at = { repository: join(base, "changed-restic"), cache: join(base, "changed-cache") };
    await restic?.init(at);
    await restic?.backup(at, root);
    const before = restic === undefined ? 0 : await directoryBytes(at.repository);
    log(`pgbench changes pages of ${all.ofPages}`);
    await cluster.change(Math.ceil(all.ofPages * transactionsPer));
    data = await listed(base, "cluster", root, await cluster.copyTo(root));
    const { changed } = await pageSums(root, data.files, sums);
    const ours = await measured({ ...job, filesJson: data.filesJson, action: "backup", backupId: "after" });
    await restic?.backup(at, root);
    const percent = (100 * changed.pages) / changed.ofPages;
    const where = `pgbench changed ${percent.toFixed(1)} % of the pages`;
    figures.push(
      atMost(`${where}: stored, of these compressed alone`, ours.storedBytes / changed.packedBytes, "×", 1.5),
    );
    if (restic !== undefined) {
      const added = (await directoryBytes(at.repository)) - before;
      figures.push(atMost(`${where}: stored, of what ${restic.name} adds`, ours.storedBytes / added, "×", goal));
    }
    const target = join(base, "restored");
    await mkdir(target);
    const restored = await measured({ ...job, root: target, action: "restore", backupId: "after" });
    if (restored.bytes !== ours.bytes) throw new Error(`${restored.bytes} bytes came back of ${ours.bytes}`);
    for (const used of [target, url, at.repository, at.cache]) await rm(used, { recursive: true, force: true });
  }
  return figures;
}

async function smallFigures(bench: Bench): Promise<Figure[]> {
  const { base, log, smallFiles } = bench;
  const root = join(base, "small");
  log(`${smallFiles} files of 1 KiB`);
  const data = await listed(base, "small", root, await makeSmallFiles(root, smallFiles));
  const peers: Run[] = [];
  const restic = bench.peers.filter(({ name }) => name.startsWith("restic"));
  for (const peer of restic) peers.push(await runPeer(peer, await mkdtemp(join(base, "run-")), root, log));
  const own = await runOurs(
    { url: join(base, "small-local"), root, filesJson: data.filesJson },
    {},
    join(base, "restored-small"),
  );
  const perSecond = (ms: number) => smallFiles / (ms / 1000);
  const row = (name: string, ms: number) => ({ name: `small files: ${name}`, value: perSecond(ms), unit: "files/s" });
  return (["backup", "restore"] as const).flatMap((step) =>
    compared(row(step, own[step].ms), peers, (peer) => perSecond(peer[step].ms), peers.length > 0 ? 1 : null),
  );
}

/** The repository beside the tools that people use now: the same data, the same run, the same machine. */
export const repository: Area = async (options) => {
  const part = await ensurePostgres({ directory: PARTS, log: options.log });
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    const bench: Bench = { ...options, base, peers: options.peers ?? (await peersHere()) };
    await chmod(base, 0o711); // the database server runs as an account of its own, which passes through
    options.log(`making a mixed set of ${options.megabytes} MB`);
    const cluster = postgresSet(part, join(base, "cluster"));
    const root = join(base, "set");
    const data = await listed(base, "set", root, await makeMixedSet(cluster, root, options.megabytes));
    const local = await localFigures(bench, data);
    const s3 = options.s3 ? await s3Figures(bench, data) : [];
    await rm(root, { recursive: true });
    const changed = await changedFigures(bench, cluster);
    return [...local, ...s3, ...changed, ...(await smallFigures(bench))];
  } finally {
    await rm(base, { recursive: true });
  }
};
