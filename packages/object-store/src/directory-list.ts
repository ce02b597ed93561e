import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "./directory-errors.ts";
import type { ObjectInfo } from "./object-store.ts";

const STATS_AT_ONCE = 64;

/** A directory's key ends in `/`, so that sorting by it gives the order of the objects' whole names. */
function sortKey(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name;
}

async function readSorted(path: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const keyed = entries.filter((entry) => !entry.name.startsWith("."));
    return keyed.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return [];
    throw error;
  }
}

/** A file that was deleted since its directory was read is no object any more. */
async function lookAt(root: string, name: string): Promise<ObjectInfo | undefined> {
  try {
    const { size, mtimeMs } = await stat(join(root, name));
    return { name, size, modifiedMs: mtimeMs };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function* namesBelow(root: string, directory: string, prefix: string, after: string): AsyncGenerator<string> {
  for (const entry of await readSorted(join(root, directory))) {
    const name = `${directory}${sortKey(entry)}`;
    if (entry.isDirectory()) {
      const mayMatch = name.startsWith(prefix) || prefix.startsWith(name);
      const mayFollow = name > after || after.startsWith(name);
      if (mayMatch && mayFollow) yield* namesBelow(root, name, prefix, after);
    } else if (name.startsWith(prefix) && name > after) yield name;
  }
}

export async function* listDirectory(
  root: string,
  prefix: string,
  after = "",
  signal?: AbortSignal,
): AsyncGenerator<ObjectInfo> {
  let names: string[] = [];
  const page = async () => {
    const infos = await Promise.all(names.map((name) => lookAt(root, name)));
    names = [];
    return infos.filter((info) => info !== undefined);
  };
  for await (const name of namesBelow(root, "", prefix, after)) {
    signal?.throwIfAborted();
    names.push(name);
    if (names.length === STATS_AT_ONCE) yield* await page();
  }
  yield* await page();
}
