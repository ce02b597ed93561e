import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { World } from "@stillpoint/cli/world";
import type { MeasuredRun, RunJob } from "@stillpoint/driver-files/bench/measured-run";
import { numbersOf } from "../numbers.ts";
import { makeTree } from "./make-tree.ts";

const USAGE = "npm run soak -- million-files [--files 1000000] [--mib 768]";
const PROCESS = fileURLToPath(import.meta.resolve("@stillpoint/driver-files/bench/measured-run"));
/** What the language may take of it; the rest are the threads', the compressor's and the index's. */
const HEAP_MIB = 192;
/** Files of the last seconds before the first run are read twice; none, where the tree took longer to make. */
const CHANGED = 10;

/** A tree of very many small files is captured twice within a fixed memory, and the second time hardly read. */
export async function soakMillionFiles(world: World, args: readonly string[]): Promise<string[]> {
  const { files, mib } = numbersOf(args, { files: 1_000_000, mib: 768 }, USAGE);
  const log = (line: string) => world.out(`${line}\n`);
  const base = await mkdtemp(join(tmpdir(), "stillpoint-soak-"));
  try {
    const tree = join(base, "tree");
    log(`making ${files} files in ${tree}`);
    await makeTree(tree, files, world.signal);
    const first = await measuredRun(base, tree, undefined, world.signal);
    log(lineOf("first run", first));
    for (let at = 0; at < CHANGED; at += 1) await writeFile(join(tree, "0", `changed-${at}`), `changed ${at}`);
    const second = await measuredRun(base, tree, first, world.signal);
    log(lineOf("second run", second));
    const third = await measuredRun(base, tree, second, world.signal);
    log(lineOf("third run", third));
    return judge(files, mib, [first, second, third]);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

/** Pure: what is wrong with three runs over a tree that got some files between the first and the second. */
export function judge(
  files: number,
  mib: number,
  [first, second, third]: [MeasuredRun, MeasuredRun, MeasuredRun],
): string[] {
  const violations: string[] = [];
  for (const [name, { peakRssMiB }] of Object.entries({ first, second, third }))
    if (peakRssMiB > mib) violations.push(`the ${name} run took ${peakRssMiB.toFixed(0)} MiB, more than ${mib}`);
  const count = files + CHANGED;
  if (first.base.files !== files || second.base.files !== count || third.base.files !== count)
    violations.push(`runs held ${first.base.files}, ${second.base.files} and ${third.base.files} files of ${files}`);
  // What was young at one run is read once more by the next.
  const readShare = third.base.readBytes / Math.max(1, first.base.readBytes);
  if (third.base.taken < count - CHANGED || readShare > 0.01)
    violations.push(
      `the third run read ${third.base.readBytes} bytes and took over ${third.base.taken} of ${count} files`,
    );
  return violations;
}

async function measuredRun(
  base: string,
  tree: string,
  before: MeasuredRun | undefined,
  signal: AbortSignal,
): Promise<MeasuredRun> {
  const name = String(Number(before?.backups[0].split("-")[1] ?? 0) + 1);
  const directory = join(base, `run-${name}`);
  await mkdir(directory);
  const job: RunJob = {
    url: join(base, "repository"),
    index: join(base, "index"),
    tree,
    directory,
    name,
    ...(before === undefined ? {} : { before: before.backups }),
  };
  const flags = ["--disable-warning=ExperimentalWarning", `--max-old-space-size=${HEAP_MIB}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROCESS, JSON.stringify(job)], { signal });
  await rm(directory, { recursive: true });
  return JSON.parse(stdout) as MeasuredRun; // our own process's
}

function lineOf(what: string, { ms, cpuMs, peakRssMiB, storedBytes, base }: MeasuredRun): string {
  const times = `${(ms / 1000).toFixed(1)} s, CPU ${(cpuMs / 1000).toFixed(1)} s, peak ${peakRssMiB.toFixed(0)} MiB`;
  const read = `${base.files} files, ${base.taken} taken over, ${base.readBytes} bytes read, ${storedBytes} stored`;
  return `${what}: ${times}; ${read}`;
}
