import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NODE_FLAGS } from "../src/node-flags.ts";
import { type Figure, figure } from "./figure.ts";
import { type IndexJob, type IndexMeasures, indexMeasures } from "./index-job.ts";
import { directoryBytes } from "./peers.ts";

export type LargeIndexOptions = {
  chunks: number;
  /** `small`: as backups leave them, of 2 048 chunks each; `merged`: as the collector leaves them. */
  kind: "small" | "merged";
  log: (line: string) => void;
};

const SCRIPT = fileURLToPath(new URL("./measured-index.ts", import.meta.url));
const COLD_MS = 60_000;
const WARM_MS = 2_000;
const PEAK_MIB = 512;

async function measured(job: IndexJob): Promise<IndexMeasures> {
  const { stdout } = await promisify(execFile)(process.execPath, [...NODE_FLAGS, SCRIPT, JSON.stringify(job)]);
  return indexMeasures.parse(JSON.parse(stdout));
}

const atMost = (name: string, value: number, unit: string, goal: number): Figure => ({
  ...figure(name, value, unit),
  goal,
  met: value <= goal,
});

/** Opening a repository that lists this many chunks, cold and warm, and working in it; each step in a process of its own. */
export async function benchLargeIndex({ chunks, kind, log }: LargeIndexOptions): Promise<Figure[]> {
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-index-"));
  try {
    const job = { url: join(base, "repository"), directory: join(base, "index"), chunks, kind };
    await mkdir(job.url);
    log(`index: writing index objects of ${chunks} chunks`);
    const filled = await measured({ ...job, action: "fill" });
    log(`index: ${filled.count} objects; opening cold, then warm`);
    const cold = await measured({ ...job, action: "open" });
    const fileBytes = await directoryBytes(job.directory);
    const warm = await measured({ ...job, action: "open" });
    log("index: looking chunks up, and a backup");
    const lookups = await measured({ ...job, action: "look up" });
    const backup = await measured({ ...job, action: "backup" });
    log("index: a collection that finds everything to be garbage");
    const collection = await measured({ ...job, action: "collect" });
    const millions = `${chunks / 1e6} M chunks`;
    return [
      figure(`${millions}, index objects`, filled.count, "objects"),
      // With the passphrase's scrypt in it, and the start of nothing else.
      atMost(`${millions}, opening cold`, cold.ms / 1_000, "s", COLD_MS / 1_000),
      atMost(`${millions}, opening warm`, warm.ms / 1_000, "s", WARM_MS / 1_000),
      atMost(`${millions}, peak memory of opening cold`, cold.peakRssMiB, "MiB", PEAK_MIB),
      atMost(`${millions}, peak memory of opening warm`, warm.peakRssMiB, "MiB", PEAK_MIB),
      atMost(`${millions}, peak memory of a backup`, backup.peakRssMiB, "MiB", PEAK_MIB),
      figure(`${millions}, a collection that condemns all of it`, collection.ms / 1_000, "s"),
      atMost(`${millions}, peak memory of that collection`, collection.peakRssMiB, "MiB", PEAK_MIB),
      figure(`${millions}, backup of what is not there`, backup.count / 1_000 / backup.ms, "MB/s"),
      figure(`${millions}, looking up what is not there`, lookups.absentPerSecond ?? 0, "chunks/s"),
      figure(`${millions}, looking up what is there`, lookups.presentPerSecond ?? 0, "chunks/s"),
      figure(`${millions}, index on disk`, fileBytes / 2 ** 20, "MiB"),
    ];
  } finally {
    await rm(base, { recursive: true });
  }
}
