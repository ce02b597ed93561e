import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { makeMixedSet } from "@stillpoint/bench/mixed-cluster";
import { postgresSet } from "@stillpoint/bench/postgres-set";
import type { World } from "@stillpoint/cli/world";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { measured } from "@stillpoint/repository/bench/compare";
import type { Measured } from "@stillpoint/repository/bench/measured-process";
import { numbersOf } from "./numbers.ts";

const USAGE = "npm run soak -- 10gb [--megabytes 10000]";
const PARTS = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));
/** Each of backup and restore is to be done in so much, on a local disk. */
const GOAL_SECONDS = 120;

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** A large mixed set is backed up and restored on the local disk, and comes back byte by byte. */
export async function soakLargeSet(world: World, args: readonly string[]): Promise<string[]> {
  const { megabytes } = numbersOf(args, { megabytes: 10_000 }, USAGE);
  const log = (line: string) => world.out(`${line}\n`);
  const part = await ensurePostgres({ directory: PARTS, log });
  const base = await mkdtemp(join(tmpdir(), "stillpoint-soak-"));
  try {
    await chmod(base, 0o711); // the database server runs as an account of its own, which passes through
    log(`making a mixed set of ${megabytes} MB in ${base}`);
    const [root, target, filesJson] = [join(base, "set"), join(base, "restored"), join(base, "set.json")];
    const cluster = join(base, "cluster");
    const files = await makeMixedSet(postgresSet(part, cluster), root, megabytes);
    await rm(cluster, { recursive: true });
    await writeFile(filesJson, JSON.stringify(files));
    const job = { url: join(base, "repository"), root, filesJson, backupId: "first" };
    const tell = (what: string, { ms, bytes, cpuMs, peakRssMiB }: Measured) => {
      const goal = (megabytes / 10_000) * GOAL_SECONDS;
      const rate = (bytes / 1000 / ms).toFixed(0);
      const reached = ms / 1000 < goal ? "reaches" : "misses";
      log(
        `${what}: ${(ms / 1000).toFixed(1)} s, ${rate} MB/s, CPU ${(cpuMs / 1000).toFixed(1)} s, peak ${peakRssMiB.toFixed(0)} MiB; ${reached} ${goal} s`,
      );
    };
    await measured({ ...job, action: "init" });
    tell("backup", await measured({ ...job, action: "backup" }));
    await mkdir(target);
    tell("restore", await measured({ ...job, root: target, action: "restore" }));
    log("comparing");
    const violations: string[] = [];
    for (const { path } of files) {
      world.signal.throwIfAborted();
      const [was, is] = await Promise.all([sha256(join(root, path)), sha256(join(target, path))]);
      if (was !== is) violations.push(`${path} came back as other bytes`);
    }
    return violations;
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}
