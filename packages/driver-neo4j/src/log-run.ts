import { readdir } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { logVersionOf } from "./log-position.ts";

/** The log files that are there: `first` to `newest` without a hole, and what else there is before them. */
export type LogRun = { first: number; newest: number; versions: ReadonlySet<number> };

/** Pure. Undefined: there is none. */
export function runOf(fileNames: readonly string[]): LogRun | undefined {
  const versions = new Set(fileNames.map(logVersionOf).filter((version) => version !== undefined));
  if (versions.size === 0) return undefined;
  const newest = [...versions].reduce((a, b) => Math.max(a, b));
  let first = newest;
  while (versions.has(first - 1)) first -= 1;
  return { first, newest, versions };
}

export async function readLogRun(directory: string): Promise<LogRun> {
  const run = runOf(await readdir(directory));
  if (run !== undefined) return run;
  throw new StillpointError("SOURCE_CHANGED", {
    what: "Cannot find a transaction log",
    where: directory,
    why: "no neostore.transaction.db file is there",
    hint: "is the server being restored or replaced? Shipping goes on once its log is there",
  });
}
