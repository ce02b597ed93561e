import { readFile } from "node:fs/promises";

/** Of Linux, on every machine that we run on. */
const TICKS_PER_SECOND = 100;

/** What a process has taken of all processors until now, in ms. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name stands in parentheses, and may have any in it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}
