import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { ChunkHint, TreeWriter } from "@stillpoint/driver/tree";
import { fileEntry } from "./file-entry.ts";
import { isMissing } from "./file-error.ts";
import { isNotData, type StorePart, storeParts } from "./store-files.ts";

const PAGE = "page:8192";
/** A page tree's two state pages: a checkpoint always rewrites one of them, and nothing else does. */
const STATE_PAGES = { from: 8192, bytes: 16384 };
const TRIES = 3;
const READING = { highWaterMark: 256 * 1024, autoClose: false };

export type StoreCopy = { directory: string; treeDirectory: string; signal: AbortSignal };

/**
 * Copies a database's files while the server writes to them. The names of what would not hold still long enough and was
 * left out: the server makes it anew from the rest.
 */
export async function copyStore(tree: TreeWriter, copy: StoreCopy): Promise<string[]> {
  const leftOut: string[] = [];
  for (const part of await storeParts(copy.directory)) {
    copy.signal.throwIfAborted();
    if (!(await copyPart(tree, copy, part))) leftOut.push(part.path);
  }
  return leftOut;
}

/** False: it was left out. */
async function copyPart(tree: TreeWriter, copy: StoreCopy, part: StorePart): Promise<boolean> {
  const [from, path] = [join(copy.directory, part.path), `${copy.treeDirectory}/${part.path}`];
  switch (part.kind) {
    case "records":
      if (await copyFile(tree, from, path, PAGE)) return true;
      throw new StillpointError("SOURCE_CHANGED", {
        what: "A file of the database went away while it was copied",
        where: from,
        hint: "try again when the database is not being stopped or replaced",
      });
    case "plain":
      await copyFile(tree, from, path, "content");
      return true;
    case "tree":
      return await untilStill(
        tree,
        path,
        async () => await statePages(from),
        async () => {
          await copyFile(tree, from, path, PAGE);
        },
      );
    case "lucene":
      return await untilStill(
        tree,
        path,
        async () => await segments(from),
        async () => {
          for (const name of await readdir(from).catch(emptyIfMissing)) {
            if (!isNotData(name)) await copyFile(tree, join(from, name), `${path}/${name}`, "content");
          }
        },
      );
  }
}

/** Copies until what tells a checkpoint is the same before and after; in the end takes the torn copy back. */
async function untilStill(
  tree: TreeWriter,
  path: string,
  look: () => Promise<string>,
  copy: () => Promise<void>,
): Promise<boolean> {
  for (let left = TRIES; left > 0; left -= 1) {
    const before = await look();
    await copy();
    if ((await look()) === before) return true;
    await tree.add({ type: "deleted", path });
  }
  return false;
}

/** False if the file is not there (any more). A file that grows meanwhile is cut: the log holds what is behind. */
async function copyFile(tree: TreeWriter, from: string, path: string, hint: ChunkHint): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(from);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  try {
    const stats = await file.stat();
    const { torn } = await tree.add(
      fileEntry({ path, stats, hint }),
      // An end below the start would mean a whole file.
      stats.size === 0 ? undefined : file.createReadStream({ start: 0, end: stats.size - 1, ...READING }),
    );
    if (torn) await tree.add({ type: "deleted", path });
    return !torn;
  } finally {
    await file.close();
  }
}

async function statePages(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { from, bytes } = STATE_PAGES;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, from);
    return buffer.toString("latin1", 0, bytesRead);
  } catch (error) {
    if (isMissing(error)) return `${basename(path)} is gone`;
    throw error;
  }
}

async function segments(directory: string): Promise<string> {
  const names = (await readdir(directory).catch(emptyIfMissing)).filter((name) => name.startsWith("segments_"));
  const found = await Promise.all(
    names.sort().map(async (name) => {
      const stats = await stat(join(directory, name)).catch(() => undefined); // gone again: that is a difference, too
      return `${name} ${stats?.mtimeMs} ${stats?.size}`;
    }),
  );
  return found.join("\n");
}

function emptyIfMissing(error: unknown): string[] {
  if (isMissing(error)) return [];
  throw error;
}
