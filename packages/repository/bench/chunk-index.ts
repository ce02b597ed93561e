// node packages/repository/bench/chunk-index.ts [chunks]: what could keep the chunk index, each in a process of its own.
import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RECORD_LENGTH } from "../src/index/record-sorter.ts";
import { CANDIDATES, type CandidateName } from "./index-candidates.ts";
import { directoryBytes } from "./peers.ts";

const CACHE_BYTES = 64 * 1024 * 1024;
const LOOKUPS = 100_000;
const PER_OBJECT = 2_048;
const [chunksText = "1000000", only] = process.argv.slice(2);
const chunks = Number(chunksText);

/** Records of one index object: 2 048 chunks. */
function records(count: number): Buffer[] {
  const all = randomFillSync(Buffer.allocUnsafeSlow(count * RECORD_LENGTH));
  return Array.from({ length: count }, (_, i) => all.subarray(i * RECORD_LENGTH, (i + 1) * RECORD_LENGTH));
}

/** Without the pages of mapped files, and with them, as the system counts them. */
async function memory(): Promise<{ own: number; mapped: number }> {
  const status = await readFile("/proc/self/status", "utf8");
  const mebibytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { own: mebibytes("RssAnon"), mapped: mebibytes("RssFile") };
}

async function measure(name: CandidateName): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-candidate-"));
  try {
    const candidate = await CANDIDATES[name](directory, CACHE_BYTES);
    const names: Uint8Array[] = [];
    const inOrder: Uint8Array[] = [];
    const each = Math.ceil((LOOKUPS * PER_OBJECT) / chunks);
    const begun = performance.now();
    for (let done = 0; done < chunks; done += PER_OBJECT) {
      const some = records(Math.min(PER_OBJECT, chunks - done));
      candidate.add(some);
      names.push(...some.slice(0, each).map((record) => Uint8Array.from(record.subarray(0, 32))));
      if (inOrder.length < LOOKUPS) inOrder.push(...some.map((record) => Uint8Array.from(record.subarray(0, 32))));
    }
    await candidate.finish();
    const seconds = (performance.now() - begun) / 1_000;
    const built = await memory();
    const rate = (looked: readonly Uint8Array[]) => {
      const since = performance.now();
      let found = 0;
      for (const one of looked) if (candidate.has(one)) found++;
      if (found !== 0 && found !== looked.length) throw new Error(`${found} of ${looked.length} were found`);
      return Math.round((looked.length / (performance.now() - since)) * 1_000);
    };
    const absent = rate(records(LOOKUPS).map((record) => record.subarray(0, 32)));
    const spread = rate(names);
    const ordered = rate(inOrder);
    const after = await memory();
    const megabytes = (value: number) => String(Math.round(value)).padStart(6);
    return [
      name.padEnd(22),
      `${seconds.toFixed(1).padStart(7)} s`,
      ...[absent, spread, ordered].map((value) => String(value).padStart(9)),
      `${megabytes(Math.max(built.own, after.own))} MiB`,
      `${megabytes(Math.max(built.mapped, after.mapped))} MiB`,
      `${megabytes((await directoryBytes(directory)) / 2 ** 20)} MiB`,
    ].join("  ");
  } finally {
    await rm(directory, { recursive: true });
  }
}

if (only !== undefined) process.stdout.write(`${await measure(only as CandidateName)}\n`);
else {
  process.stdout.write(
    `${chunks} chunks${" ".repeat(14)}build     absent     spread   in order         own      mapped     on disk\n`,
  );
  for (const name of Object.keys(CANDIDATES)) {
    const child = promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), chunksText, name]);
    const line = await child.then(
      ({ stdout }) => stdout,
      (error: Error) => {
        if (error.message.includes("ERR_MODULE_NOT_FOUND")) return `${name}: not installed here\n`;
        throw error;
      },
    );
    process.stdout.write(line);
  }
}
