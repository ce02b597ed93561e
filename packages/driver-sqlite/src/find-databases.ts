import { constants } from "node:fs";
import { access, glob, realpath, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";

export type FoundDatabase = {
  /** Real path: SQLite keeps its log beside the file that a link leads to. */
  path: string;
  /** In the tree: relative to the part of the source's path that has no wildcard. */
  name: string;
  identity: string;
  mode: number;
  uid: number;
  gid: number;
  mtimeMs: number;
  size: number;
};

const WILDCARD = /[*?[\]{}!()]/;
/** Files that SQLite keeps beside a database. */
const COMPANION = /-(wal|shm|journal)$/;

/** The databases of a source, by name. A path that is a file as it stands is no pattern. */
export async function findDatabases(pattern: string): Promise<FoundDatabase[]> {
  const literal = await look(pattern, basename(pattern));
  if (literal !== undefined) return [literal];
  if (!WILDCARD.test(pattern)) return [];
  const root = patternRoot(pattern);
  const found: FoundDatabase[] = [];
  for await (const path of glob(pattern)) {
    if (COMPANION.test(path)) continue;
    const database = await look(path, path.slice(root.length).replace(/^\//, ""));
    if (database !== undefined) found.push(database);
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The directory above the first component with a wildcard. */
export function patternRoot(pattern: string): string {
  const parts = pattern.split("/");
  const first = parts.findIndex((part) => WILDCARD.test(part));
  return first === -1 ? dirname(pattern) : parts.slice(0, first).join("/") || "/";
}

async function look(at: string, name: string): Promise<FoundDatabase | undefined> {
  try {
    const path = await realpath(at);
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    const { dev, ino, mode, uid, gid, mtimeMs, size } = found;
    await access(path, constants.R_OK);
    return { path, name, identity: `${dev}:${ino}`, mode: mode & 0o7777, uid, gid, mtimeMs, size };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code !== "EACCES" && code !== "EPERM") throw error;
    throw new StillpointError("SOURCE_DENIED", {
      what: "Cannot read an SQLite database",
      where: at,
      why: "the agent's account may not read it",
      hint: "give the agent's account read access to the file, and write access to its directory",
      cause: error,
    });
  }
}
