import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StillpointError } from "@stillpoint/contracts/errors";
import { isSpoilt } from "./chunk-database.ts";

const ENDING = ".chunks";
const BUILDING = "building-";

function refused(directory: string, why: string): StillpointError {
  return new StillpointError("FORBIDDEN", {
    what: "Cannot keep the chunk index here",
    where: directory,
    why,
    hint: "name a directory that belongs to this process's user alone (mode 0700)",
  });
}

function remove(path: string): void {
  for (const more of ["", "-wal", "-shm", "-journal"]) rmSync(path + more, { force: true });
}

function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whether no process has it open: one that builds holds its file's lock until it ends, however it ends. */
function isAbandoned(path: string): boolean {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("begin exclusive");
    return true;
  } catch (error) {
    // Not a database yet, or none any more, as a kill amid a commit leaves it: read, so nobody has the lock. Anything
    // else means that somebody may.
    return isSpoilt(error);
  } finally {
    database.close();
  }
}

/**
 * The files of one repository's chunk index. A file has a name that no other ever had: SQLite removes a log by its name
 * when it closes, so a name that comes again would lose another process its log. Files of a higher number count; two
 * processes that build at once make two, and the next one to open leaves one.
 */
export function indexFiles(parent: string, id: string) {
  const directory = join(parent, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(directory);
  // Who can write here can make this process believe that the repository has what it has not.
  if (process.getuid !== undefined && uid !== process.getuid()) throw refused(directory, "it belongs to another user");
  if ((mode & 0o022) !== 0) throw refused(directory, "others than its owner can write to it");

  const names = () => readdirSync(directory).sort();
  const published = () => names().filter((name) => name.endsWith(ENDING) && !name.startsWith(BUILDING));

  return {
    directory,
    newest(): string | undefined {
      const name = published().at(-1);
      return name === undefined ? undefined : join(directory, name);
    },
    remove,
    building: () => join(directory, `${BUILDING}${randomBytes(8).toString("hex")}${ENDING}`),
    /** Gives a file that was built its name, durably, and removes those that it replaces. The file is closed. */
    publish(building: string): string {
      const before = published();
      const number = Number.parseInt(before.at(-1) ?? "0", 10) + 1;
      const path = join(directory, `${String(number).padStart(8, "0")}-${randomBytes(4).toString("hex")}${ENDING}`);
      syncPath(building);
      linkSync(building, path);
      syncPath(directory);
      remove(building);
      for (const name of before) remove(join(directory, name));
      return path;
    },
    /** Removes what processes left that were killed while they built. */
    sweep(): void {
      for (const name of names().filter((name) => name.startsWith(BUILDING) && name.endsWith(ENDING)))
        if (isAbandoned(join(directory, name))) remove(join(directory, name));
    },
  };
}
export type IndexFiles = ReturnType<typeof indexFiles>;
