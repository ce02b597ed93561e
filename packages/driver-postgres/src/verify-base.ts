import { type Checked, type Finding, fail, inconclusive, pass } from "./check.ts";
import { CONFIGURATION_FILES, TRACES } from "./layout.ts";

/** What a laid-out directory has other than the base had it. WAL and signal files the program knows of itself. */
const OURS = [...CONFIGURATION_FILES, ...TRACES, "stillpoint", "pg_replslot"];

/** Every file of the base against its checksum in the manifest; before the server changes them. */
export async function verifyBase(run: Checked["run"], directory: string): Promise<Finding> {
  const ignored = OURS.map((path) => `--ignore=${path}`);
  // Recovery itself reads the WAL up to the mark.
  const result = await run("pg_verifybackup", ["--no-parse-wal", "--quiet", ...ignored, directory]);
  if (result === "missing") return inconclusive("pg_verifybackup is not installed here");
  return result.code === 0 ? pass("every file is as it was copied") : fail(result.words);
}
