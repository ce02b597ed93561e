import { readFile } from "node:fs/promises";

/** A process's own share of the machine's memory: what several share counts in parts. Undefined: it is gone. */
export async function pssBytesOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  const [, kilobytes] = /^Pss:\s+(\d+) kB$/m.exec(text) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}
