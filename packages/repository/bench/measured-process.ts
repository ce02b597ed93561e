// One backup or restore in a process of its own, so that its memory and its CPU time are nobody else's. Prints JSON.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { extractTar } from "@stillpoint/driver/extract";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { z } from "zod";
import { initRepository } from "../src/init-repository.ts";
import { openRepository } from "../src/repository.ts";
import { BENCH_PASSPHRASE } from "./bench-passphrase.ts";
import type { SetFile } from "./mixed-set.ts";
import { itemsOf, tarOf } from "./set-tar.ts";

const jobSchema = z.object({
  action: z.enum(["init", "backup", "restore"]),
  url: z.string(),
  backupId: z.string(),
  /** What is backed up, and the list of its files; where it is restored to. */
  root: z.string(),
  filesJson: z.string(),
  threads: z.number().optional(),
  /** By a tar, as the vault takes it; else straight from files and to files, as the peers work. */
  tar: z.boolean().default(false),
});
export type Job = z.input<typeof jobSchema>;

export type Measured = {
  ms: number;
  bytes: number;
  storedBytes: number;
  cpuMs: number;
  /** CPU time of the worker threads by stage; the rest is reading, tar, storing and the language's own work. */
  stageCpuMs: Record<string, number>;
  peakRssMiB: number;
};

const job = jobSchema.parse(JSON.parse(process.argv[2] ?? ""));
await using store = await openObjectStore(job.url, { environment: process.env, create: job.action === "init" });

async function init(): Promise<void> {
  await initRepository(store, {
    passphrase: BENCH_PASSPHRASE,
    random: (length) => new Uint8Array(randomBytes(length)),
    now: Date.now,
  });
}

async function measure(): Promise<Measured> {
  const threads = job.threads === undefined ? {} : { threads: job.threads };
  // Opening counts: the peers derive their key and read their index too.
  const before = process.cpuUsage();
  const begun = performance.now();
  await using repository = await openRepository(store, { passphrase: BENCH_PASSPHRASE, ...threads });
  let bytes = 0;
  let storedBytes = 0;
  if (job.action === "backup") {
    const files = JSON.parse(await readFile(job.filesJson, "utf8")) as SetFile[]; // written by the benchmark itself
    const head = {
      backupId: job.backupId,
      plan: "bench",
      source: "set",
      kind: "files",
      type: "full",
      runId: "018f0000-0000-7000-8000-000000000000",
      startedAt: new Date().toISOString(),
    } as const;
    const figures = job.tar
      ? await repository.writeBackup(head, tarOf(job.root, files))
      : await repository.writeFiles(head, itemsOf(job.root, files));
    ({ bytes, storedBytes } = figures);
  } else if (!job.tar) bytes = (await repository.restoreFiles(job.backupId, job.root)).bytes;
  else bytes = (await extractTar(repository.readBackup(job.backupId), job.root)).bytes;
  const ms = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  return {
    ms,
    bytes,
    storedBytes,
    cpuMs: (user + system) / 1000,
    stageCpuMs: repository.stageCpuMs(),
    peakRssMiB: process.resourceUsage().maxRSS / 1024,
  };
}

if (job.action === "init") await init();
else process.stdout.write(JSON.stringify(await measure()));
