// One run of a file source in a process of its own, agent and repository together, so that its memory is nobody else's.
import { randomBytes } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import { filesSource } from "@stillpoint/contracts/source";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { z } from "zod";
import { oneRun, type Run } from "./one-run.ts";

const jobSchema = z.object({
  url: z.string(),
  tree: z.string(),
  directory: z.string(),
  index: z.string(),
  name: z.string(),
  before: z.array(z.string()).optional(),
});
export type RunJob = z.input<typeof jobSchema>;
export type MeasuredRun = Run & { ms: number; cpuMs: number; peakRssMiB: number };

const job = jobSchema.parse(JSON.parse(process.argv[2] ?? ""));
const passphrase = new Secret("a passphrase of the soak");
const first = job.before === undefined;
await using store = await openObjectStore(job.url, { environment: process.env, create: first });
const random = (length: number) => new Uint8Array(randomBytes(length));
if (first) await initRepository(store, { passphrase, random, now: Date.now });
const begun = performance.now();
await using repository = await openRepository(store, { passphrase, index: { directory: job.index } });
const { directory, name, before } = job;
const source = filesSource.parse({ kind: "files", paths: [job.tree] });
const run = await oneRun(repository, { source, directory, name, before, now: Date.now });
const { user, system } = process.cpuUsage();
const measured: MeasuredRun = {
  ...run,
  ms: performance.now() - begun,
  cpuMs: (user + system) / 1000,
  peakRssMiB: process.resourceUsage().maxRSS / 1024,
};
process.stdout.write(JSON.stringify(measured));
