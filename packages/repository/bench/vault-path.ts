import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NODE_FLAGS } from "../src/node-flags.ts";
import { against, type Figure, figure } from "./figure.ts";
import type { Job, Measured } from "./measured-process.ts";
import { changePages, makeMixedSet, makeSmallFiles, type SetFile } from "./mixed-set.ts";
import { type Cpu, directoryBytes, type Peer, type PeerPlace, peersHere } from "./peers.ts";

export type BenchOptions = {
  /** Size of the mixed set. */
  megabytes: number;
  smallFiles: number;
  log: (line: string) => void;
  /** Default: those that are on PATH. */
  peers?: readonly Peer[];
  /** An S3 bucket: its URL, and the variables with its credentials. Absent: no S3 figures. */
  s3?: { url: string; environment: Record<string, string> };
};

const SCRIPT = fileURLToPath(new URL("./measured-process.ts", import.meta.url));

async function measured(job: Job, environment: Record<string, string> = {}): Promise<Measured> {
  const env = { ...process.env, ...environment };
  const { stdout } = await promisify(execFile)(process.execPath, [...NODE_FLAGS, SCRIPT, JSON.stringify(job)], { env });
  return job.action === "init"
    ? { ms: 0, bytes: 0, storedBytes: 0, cpuMs: 0, stageCpuMs: {}, peakRssMiB: 0 }
    : JSON.parse(stdout);
}

type Cost = { ms: number; cpuMs: number };

async function timed(work: () => Promise<Cpu>): Promise<Cost> {
  const begun = performance.now();
  const { cpuMs } = await work();
  return { ms: performance.now() - begun, cpuMs };
}

type PeerRun = {
  name: string;
  backup: Cost;
  again: Cost;
  restore: Cost;
  storedBytes: number;
};

/** The same steps as ours, in the same order, on the same files. */
async function runPeer(peer: Peer, base: string, root: string, log: (line: string) => void): Promise<PeerRun> {
  const at: PeerPlace = { repository: join(base, "repository"), cache: join(base, "cache") };
  const target = join(base, "restored");
  for (const directory of [at.repository, at.cache, target]) await mkdir(directory, { recursive: true });
  log(`${peer.name}: backup, unchanged backup, restore`);
  await peer.init(at);
  const backup = await timed(() => peer.backup(at, root));
  const storedBytes = await directoryBytes(at.repository);
  const again = await timed(() => peer.backup(at, root));
  const restore = await timed(() => peer.restore(at, target));
  await rm(base, { recursive: true });
  return { name: peer.name, backup, again, restore, storedBytes };
}

const rate = (bytes: number, ms: number) => bytes / 1000 / ms;
const throughput = (name: string, bytes: number, ms: number) => ({ name, value: rate(bytes, ms), unit: "MB/s" });

/** What a busy machine does not disturb as much as throughput. */
const perCpu = (name: string, { bytes, cpuMs }: Measured) => ({ name, value: rate(bytes, cpuMs), unit: "MB/s" });

function stages(name: string, { cpuMs, stageCpuMs, bytes, peakRssMiB }: Measured): Figure[] {
  const perGigabyte = (ms: number) => ms / 1000 / (bytes / 1e9);
  const known = Object.values(stageCpuMs).reduce((sum, ms) => sum + ms, 0);
  return [
    ...Object.entries(stageCpuMs)
      .filter(([, ms]) => ms > 0)
      .map(([stage, ms]) => figure(`${name}, CPU of ${stage}`, perGigabyte(ms), "s/GB")),
    figure(`${name}, CPU of all else`, perGigabyte(cpuMs - known), "s/GB"),
    figure(`${name}, peak memory`, peakRssMiB, "MiB"),
  ];
}

/** Backup, unchanged backup and restore of one set in one place; the set is restored beside it. */
async function runOurs(
  place: string,
  job: Omit<Job, "action" | "backupId">,
  environment: Record<string, string>,
  target: string,
) {
  await measured({ ...job, action: "init", backupId: "none" }, environment);
  const first = await measured({ ...job, action: "backup", backupId: "first" }, environment);
  const again = await measured({ ...job, action: "backup", backupId: "again" }, environment);
  await mkdir(target, { recursive: true });
  const restored = await measured({ ...job, root: target, action: "restore", backupId: "first" }, environment);
  await rm(target, { recursive: true });
  if (restored.bytes !== first.bytes) throw new Error(`${place}: ${restored.bytes} bytes came back of ${first.bytes}`);
  return { first, again, restored };
}

function compared(
  own: { name: string; value: number; unit: string },
  peers: readonly PeerRun[],
  of: (peer: PeerRun) => number,
): Figure[] {
  if (peers.length === 0) return [figure(own.name, own.value, own.unit)];
  return peers.map((peer) => against(own, peer.name, of(peer)));
}

async function localFigures(
  base: string,
  root: string,
  files: readonly SetFile[],
  options: BenchOptions,
): Promise<Figure[]> {
  const filesJson = join(base, "files.json");
  await writeFile(filesJson, JSON.stringify(files));
  const peers: PeerRun[] = [];
  for (const peer of options.peers ?? (await peersHere()))
    peers.push(await runPeer(peer, join(base, "peer"), root, options.log));
  options.log("stillpoint on local disk: backup, unchanged backup, restore");
  const url = join(base, "local");
  const { first, again, restored } = await runOurs("local", { url, root, filesJson }, {}, join(base, "restored"));
  options.log("stillpoint on local disk: after 5 % of the pages changed");
  const changed = await changePages(root, files, 0.05);
  const third = await measured({ url, root, filesJson, action: "backup", backupId: "third" });
  return [
    ...compared(throughput("backup to local disk", first.bytes, first.ms), peers, (peer) =>
      rate(first.bytes, peer.backup.ms),
    ),
    ...compared(throughput("restore from local disk", restored.bytes, restored.ms), peers, (peer) =>
      rate(restored.bytes, peer.restore.ms),
    ),
    ...compared(perCpu("backup to local disk, per CPU second", first), peers, (peer) =>
      rate(first.bytes, peer.backup.cpuMs),
    ),
    ...compared(perCpu("restore from local disk, per CPU second", restored), peers, (peer) =>
      rate(restored.bytes, peer.restore.cpuMs),
    ),
    ...compared(
      { name: "data to stored bytes", value: first.bytes / first.storedBytes, unit: "×" },
      peers,
      (peer) => first.bytes / peer.storedBytes,
    ),
    ...compared(throughput("unchanged second backup", again.bytes, again.ms), peers, (peer) =>
      rate(again.bytes, peer.again.ms),
    ),
    figure("unchanged second backup, stored", (100 * again.storedBytes) / again.bytes, "%"),
    figure("stored after 5 % of the pages changed, of these pages", third.storedBytes / changed, "×"),
    ...stages("backup to local disk", first),
    ...stages("restore from local disk", restored),
  ];
}

async function s3Figures(base: string, root: string, { s3, log }: BenchOptions): Promise<Figure[]> {
  if (s3 === undefined) return [];
  log("stillpoint on S3: backup, unchanged backup, restore");
  const filesJson = join(base, "files.json");
  const { first, restored } = await runOurs(
    "S3",
    { url: s3.url, root, filesJson },
    s3.environment,
    join(base, "restored"),
  );
  return [
    { ...figure("", 0, ""), ...throughput("backup to S3", first.bytes, first.ms) },
    { ...figure("", 0, ""), ...throughput("restore from S3", restored.bytes, restored.ms) },
    figure("backup to S3, peak memory", first.peakRssMiB, "MiB"),
  ];
}

async function smallFigures(base: string, options: BenchOptions): Promise<Figure[]> {
  const root = join(base, "small");
  options.log(`${options.smallFiles} files of 1 KiB`);
  const files = await makeSmallFiles(root, options.smallFiles);
  const filesJson = join(base, "small.json");
  await writeFile(filesJson, JSON.stringify(files));
  const peers: PeerRun[] = [];
  for (const peer of options.peers ?? (await peersHere()))
    peers.push(await runPeer(peer, join(base, "peer"), root, options.log));
  const { first, restored } = await runOurs(
    "small",
    { url: join(base, "small-local"), root, filesJson },
    {},
    join(base, "restored"),
  );
  const perSecond = (ms: number) => options.smallFiles / (ms / 1000);
  return [
    ...compared({ name: "small files, backup", value: perSecond(first.ms), unit: "files/s" }, peers, (peer) =>
      perSecond(peer.backup.ms),
    ),
    ...compared({ name: "small files, restore", value: perSecond(restored.ms), unit: "files/s" }, peers, (peer) =>
      perSecond(peer.restore.ms),
    ),
  ];
}

/** From a tar to packs and back, with each peer that is installed on the same files, one after the other. */
export async function benchVaultPath(options: BenchOptions): Promise<Figure[]> {
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    const root = join(base, "set");
    options.log(`making a mixed set of ${options.megabytes} MB`);
    const files = await makeMixedSet(root, options.megabytes);
    const local = await localFigures(base, root, files, options);
    const s3 = await s3Figures(base, root, options);
    return [...local, ...s3, ...(await smallFigures(base, options))];
  } finally {
    await rm(base, { recursive: true });
  }
}
