import { constants } from "node:fs";
import { chmod, type FileHandle, lchown, lstat, lutimes, mkdir, open, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { fileWriter } from "@stillpoint/direct-io/file-writer";
import { writeExactly } from "./body.ts";
import { codeOf, diskError } from "./disk-error.ts";
import type { TreeEntry, TreeWriter } from "./tree.ts";
import { checkTreePath, isWithin } from "./tree-path.ts";

export type DirectoryTreeOptions = {
  /** Give files the owners that they had. Possible for root only, and its default. */
  keepOwners?: boolean;
};

type FileEntry = Extract<TreeEntry, { type: "file" }>;

/** A file that is written by its descriptor, in any order; `finish` gives it its length, owner, mode and time, and closes it. */
export type OpenFile = { fd: number; finish(): Promise<void>; close(): Promise<void> };

/** What a file is to be given, by who makes it. `path` is absolute; owners are absent where they are not kept. */
export type FileDress = { path: string; mode: number; mtimeMs: number; uid?: number; gid?: number };

export interface DirectoryTree extends TreeWriter {
  /** Opens a file for somebody else to write. `keep`: one that is there keeps its bytes, else it is made anew. */
  openFile(entry: FileEntry, keep?: boolean): Promise<OpenFile>;
  /** Where a file may be made: everything above it is real, and no directory is known to stand there. */
  placeFor(entry: FileEntry): Promise<FileDress>;
  /** Gives directories their modes and times, which writing below them would have disturbed. Call it once, at the end. */
  finish(): Promise<void>;
}

type Metadata = Exclude<TreeEntry, { type: "deleted" }>;

/**
 * Writes entries straight into a directory, over what an earlier backup put there. Nothing is ever written outside of
 * it: paths are plain, no component on the way is a symbolic link, files are made anew and never followed. Extended
 * attributes are left out: Node has no call for them.
 */
export function directoryTree(directory: string, options: DirectoryTreeOptions = {}): DirectoryTree {
  const keepOwners = options.keepOwners ?? process.getuid?.() === 0;
  const directories = new Map<string, Metadata>();
  /** Directories that are known to be real. */
  const known = new Set<string>();

  const forget = (path: string) => {
    for (const each of [...known]) if (isWithin(each, path)) known.delete(each);
    for (const each of [...directories.keys()]) if (isWithin(each, path)) directories.delete(each);
  };

  /** Whether everything above `path` is a real directory; makes what is missing if asked to. */
  const parentsOf = async (path: string, missing: "make" | "leave"): Promise<boolean> => {
    const parent = dirname(path);
    if (parent === "." || known.has(parent)) return true;
    if (!(await parentsOf(parent, missing))) return false;
    const kind = await kindOf(join(directory, parent));
    if (kind === "none" && missing === "leave") return false;
    if (kind === "none") await mkdir(join(directory, parent), { mode: 0o755 });
    else if (kind !== "directory")
      throw unsafe(path, `${parent} is not a directory, and nothing is written through it`);
    known.add(parent);
    return true;
  };

  const clear = async (path: string) => {
    forget(path);
    await rm(join(directory, path), { recursive: true, force: true });
  };

  const ownersOf = ({ uid, gid }: FileEntry) =>
    keepOwners && uid !== undefined && gid !== undefined ? { uid, gid } : undefined;
  const modeOf = ({ mode }: FileEntry) => (keepOwners ? mode & 0o7777 : mode & 0o777);

  const openFor = async (entry: FileEntry, keep: boolean): Promise<FileHandle> => {
    const path = join(directory, entry.path);
    const offset = entry.offset ?? 0;
    const kind = await kindOf(path);
    if (offset > 0) {
      const size = kind === "file" ? (await lstat(path)).size : 0;
      if (size < offset) {
        throw new StillpointError("TAR_INVALID", {
          what: "Cannot lay a part of a file over what is there",
          where: entry.path,
          why: `it begins at byte ${offset}, but only ${size} bytes are there`,
        });
      }
    } else if (kind !== "none" && !(keep && kind === "file")) await clear(entry.path);
    const isThere = offset > 0 || (keep && kind === "file");
    const flags = (keep ? constants.O_RDWR : constants.O_WRONLY) | constants.O_NOFOLLOW;
    return await open(path, isThere ? flags : flags | constants.O_CREAT | constants.O_EXCL, 0o600);
  };

  const finishFile = async (file: FileHandle, entry: FileEntry, size: number) => {
    await file.truncate(size);
    const owners = ownersOf(entry);
    if (owners !== undefined) await file.chown(owners.uid, owners.gid);
    await file.chmod(modeOf(entry));
    await file.utimes(entry.mtimeMs / 1000, entry.mtimeMs / 1000);
  };

  const writeFile = async (entry: FileEntry, body?: AsyncIterable<Uint8Array>) => {
    const file = await openFor(entry, false);
    const offset = entry.offset ?? 0;
    const writer = fileWriter(file, offset, entry.size);
    try {
      const result = await writeExactly(entry.size, body, writer.write);
      await writer.end();
      await finishFile(file, entry, offset + entry.size);
      return result;
    } finally {
      await writer.close();
      await file.close();
    }
  };

  const place = async (entry: TreeEntry, body?: AsyncIterable<Uint8Array>): Promise<{ torn: boolean }> => {
    const path = checkTreePath(entry.path);
    if (entry.type === "deleted") {
      if (await parentsOf(path, "leave")) await clear(path);
      return { torn: false };
    }
    await parentsOf(path, "make");
    if (entry.type === "file") return await writeFile(entry, body);
    if (entry.type === "symlink") {
      await clear(path);
      await symlink(entry.target, join(directory, path));
      await dress(join(directory, path), entry);
      return { torn: false };
    }
    const kind = await kindOf(join(directory, path));
    if (kind !== "directory") {
      if (kind !== "none") await clear(path);
      await mkdir(join(directory, path), { mode: 0o700 });
    }
    known.add(path);
    directories.set(path, entry);
    return { torn: false };
  };

  const dress = async (path: string, entry: Metadata) => {
    if (keepOwners && entry.uid !== undefined && entry.gid !== undefined) await lchown(path, entry.uid, entry.gid);
    if (entry.type === "directory") await chmod(path, keepOwners ? entry.mode & 0o7777 : entry.mode & 0o777);
    await lutimes(path, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
  };

  const explained = (error: unknown, { path }: TreeEntry): unknown =>
    codeOf(error) === "ELOOP" ? unsafe(path, "a symbolic link stands in its place") : diskError(error, path);

  return {
    async add(entry, body) {
      try {
        return await place(entry, body);
      } catch (error) {
        throw explained(error, entry);
      }
    },
    // Of the backup, and nothing that lies in the directory.
    covers: async () => undefined,
    async openFile(entry, keep = false) {
      try {
        await parentsOf(checkTreePath(entry.path), "make");
        const file = await openFor(entry, keep);
        return {
          fd: file.fd,
          finish: async () => {
            await finishFile(file, entry, (entry.offset ?? 0) + entry.size);
            await file.close();
          },
          close: () => file.close(),
        };
      } catch (error) {
        throw explained(error, entry);
      }
    },
    async placeFor(entry) {
      try {
        await parentsOf(checkTreePath(entry.path), "make");
        if (known.has(entry.path) || directories.has(entry.path)) await clear(entry.path);
      } catch (error) {
        throw explained(error, entry);
      }
      const { mtimeMs } = entry;
      return { path: join(directory, entry.path), mode: modeOf(entry), mtimeMs, ...ownersOf(entry) };
    },
    async finish() {
      const deepestFirst = [...directories].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [path, entry] of deepestFirst) {
        if (await parentsOf(path, "leave")) await dress(join(directory, path), entry);
      }
    },
  };
}

async function kindOf(path: string): Promise<"none" | "directory" | "file" | "other"> {
  try {
    const found = await lstat(path);
    return found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "none";
    throw error;
  }
}

function unsafe(where: string, why: string): StillpointError {
  return new StillpointError("PATH_UNSAFE", { what: "Refused to write an entry of a backup", where, why });
}
