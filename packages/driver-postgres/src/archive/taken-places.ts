import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";
import { tablespacesMade } from "../foreign-places.ts";
import { formatLsn, type Lsn } from "../lsn.ts";

/** What each server makes for itself inside of a tablespace's directory. */
const OF_A_SERVER = /^PG_\d/;

/**
 * A server that recovers by its own restore_command makes a tablespace where the log says: a person has prepared that directory
 * on a machine of its own. On the source's machine it is the live server's, and recovery would write into it without a word.
 * `data`: whose tablespaces are taken by right, for a recovery that is begun again makes them twice.
 */
export async function refuseTakenPlaces(segment: Buffer, start: Lsn, data: string | undefined): Promise<void> {
  for (const { lsn, location } of tablespacesMade(segment, start)) {
    const found = (await namesIn(location)).filter((name) => OF_A_SERVER.test(name));
    if (found.length === 0 || (data !== undefined && (await hasLinkTo(data, location)))) continue;
    throw new StillpointError("PATH_UNSAFE", {
      what: "Refused to give a PostgreSQL log",
      where: location,
      why: `at ${formatLsn(lsn)} it makes a tablespace there, and a server has one there already`,
      hint: "recover on another machine, or by `stillpoint restore --at`; where it is this recovery's own: `wal serve --data`, or --allow-tablespaces",
    });
  }
}

/** One that a restore laid inside of the data directory is a directory there, and no link. */
async function hasLinkTo(data: string, location: string): Promise<boolean> {
  const places = join(data, "pg_tblspc");
  for (const name of await namesIn(places)) {
    const path = join(places, name);
    if ((await lstat(path)).isSymbolicLink() && (await readlink(path)) === location) return true;
  }
  return false;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
