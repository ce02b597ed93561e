import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NODE_FLAGS } from "../src/node-flags.ts";
import { against, type Figure, figure } from "./figure.ts";
import type { Job, Measured } from "./measured-process.ts";
import { type Cpu, directoryBytes, emptyFiles, type Peer, type PeerBucket } from "./peers.ts";

const SCRIPT = fileURLToPath(new URL("./measured-process.ts", import.meta.url));

/** Waits until what earlier steps wrote is on the disk: otherwise the next one would be measured with it. */
export const settled = async (): Promise<void> => void (await promisify(execFile)("sync"));

export async function measured(job: Job, environment: Record<string, string> = {}): Promise<Measured> {
  await settled();
  const env = { ...process.env, ...environment };
  const options = { env, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(process.execPath, [...NODE_FLAGS, SCRIPT, JSON.stringify(job)], options);
  return job.action === "init" ? NOTHING : JSON.parse(stdout);
}
const NOTHING: Measured = { ms: 0, bytes: 0, storedBytes: 0, cpuMs: 0, stageCpuMs: {}, peakRssMiB: 0 };

export type Cost = { ms: number; cpuMs: number };

async function timed(work: () => Promise<Cpu>): Promise<Cost> {
  await settled();
  const begun = performance.now();
  const { cpuMs } = await work();
  return { ms: performance.now() - begun, cpuMs };
}

/** What one tool took for the steps that all do in the same order on the same files. */
export type Run = { name: string; backup: Cost; again: Cost; restore: Cost; storedBytes: number; againBytes: number };

/** `base` is a new directory, which the caller takes away when all has been measured. */
export async function runPeer(
  peer: Peer,
  base: string,
  root: string,
  log: (line: string) => void,
  bucket?: PeerBucket,
): Promise<Run> {
  const at = { repository: join(base, "repository"), cache: join(base, "cache"), ...(bucket ? { bucket } : {}) };
  const target = join(base, "restored");
  for (const directory of [at.repository, at.cache, target]) await mkdir(directory, { recursive: true });
  log(`${peer.name}: backup, unchanged backup, restore`);
  await peer.init(at);
  const backup = await timed(() => peer.backup(at, root));
  const storedBytes = await directoryBytes(at.repository);
  const again = await timed(() => peer.backup(at, root));
  const againBytes = (await directoryBytes(at.repository)) - storedBytes;
  const restore = await timed(() => peer.restore(at, target));
  await emptyFiles(base);
  return { name: peer.name, backup, again, restore, storedBytes, againBytes };
}

export type OwnRun = Run & { bytes: number; first: Measured; restored: Measured };

/** Backup, unchanged backup and restore of one set in one place; `target` is a new directory, as for a peer. */
export async function runOurs(
  job: Omit<Job, "action" | "backupId">,
  environment: Record<string, string>,
  target: string,
): Promise<OwnRun> {
  await measured({ ...job, action: "init", backupId: "none" }, environment);
  const first = await measured({ ...job, action: "backup", backupId: "first" }, environment);
  const again = await measured({ ...job, action: "backup", backupId: "again" }, environment);
  await mkdir(target, { recursive: true });
  const restored = await measured({ ...job, root: target, action: "restore", backupId: "first" }, environment);
  await emptyFiles(target);
  if (restored.bytes !== first.bytes) throw new Error(`${restored.bytes} bytes came back of ${first.bytes}`);
  const { bytes, storedBytes } = first;
  const againBytes = again.storedBytes;
  return {
    name: "stillpoint",
    backup: first,
    again,
    restore: restored,
    bytes,
    storedBytes,
    againBytes,
    first,
    restored,
  };
}

/** Of several rounds the middle one by time, for each step by itself. */
export function middle<Each extends Run>(runs: readonly Each[]): Each {
  const pick = (of: (run: Each) => Cost) =>
    [...runs].sort((a, b) => of(a).ms - of(b).ms)[Math.floor((runs.length - 1) / 2)];
  const [first] = runs;
  if (first === undefined) throw new Error("no rounds");
  const of = (step: "backup" | "again" | "restore") => (pick((run) => run[step]) ?? first)[step];
  return { ...first, backup: of("backup"), again: of("again"), restore: of("restore") };
}

export const rate = (bytes: number, ms: number) => bytes / 1000 / ms;

/** Ours beside each peer; the goal stands beside the one that did best, as the last row. */
export function compared(
  own: { name: string; value: number; unit: string },
  peers: readonly Run[],
  of: (peer: Run) => number,
  goal: number | null = null,
): Figure[] {
  if (peers.length === 0) return [figure(own.name, own.value, own.unit)];
  const sorted = [...peers].sort((a, b) => of(a) - of(b));
  return sorted.map((peer, i) => against(own, peer.name, of(peer), i === sorted.length - 1 ? goal : null));
}

export function throughputs(
  where: string,
  own: OwnRun,
  peers: readonly Run[],
  goals: { backup: number | null; restore: number | null },
): Figure[] {
  const row = (name: string, value: number) => ({ name: `${where}: ${name}`, value, unit: "MB/s" });
  return (["backup", "restore"] as const).flatMap((step) => [
    ...compared(row(step, rate(own.bytes, own[step].ms)), peers, (peer) => rate(own.bytes, peer[step].ms), goals[step]),
    ...compared(row(`${step}, per CPU second`, rate(own.bytes, own[step].cpuMs)), peers, (peer) =>
      rate(own.bytes, peer[step].cpuMs),
    ),
  ]);
}

/** Where the CPU time of a run went, per gigabyte, and its memory. */
export function stages(name: string, { cpuMs, stageCpuMs, bytes, peakRssMiB }: Measured): Figure[] {
  const perGigabyte = (ms: number) => ms / 1000 / (bytes / 1e9);
  const known = Object.values(stageCpuMs).reduce((sum, ms) => sum + ms, 0);
  return [
    ...Object.entries(stageCpuMs)
      .filter(([, ms]) => ms > 1)
      .map(([stage, ms]) => figure(`${name}, CPU of ${stage}`, perGigabyte(ms), "s/GB")),
    figure(`${name}, CPU of all else`, perGigabyte(cpuMs - known), "s/GB"),
    figure(`${name}, peak memory`, peakRssMiB, "MiB"),
  ];
}
