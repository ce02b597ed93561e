import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  rm,
  symlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { fileWriter } from "@stillpoint/direct-io/file-writer";
import { nonZero } from "@stillpoint/direct-io/non-zero";
import { attributeSetter } from "@stillpoint/direct-io/set-attributes";
import { writeExactly } from "./body.ts";
import { codeOf, diskError } from "./disk-error.ts";
import { filled } from "./holes.ts";
import type { TreeEntry, TreeWriter } from "./tree.ts";
import { checkTreePath, isWithin } from "./tree-path.ts";

export type DirectoryTreeOptions = {
  /** Give files the owners that they had. Possible for root only, and its default. */
  keepOwners?: boolean;
  /** Told once, at the end, in words, of what could not be given to files here: attributes that are not permitted. */
  refused?: ((what: string) => void) | undefined;
};

type FileEntry = Extract<TreeEntry, { type: "file" }>;

/** A file that is written by its descriptor, in any order; `finish` gives it its length, owner, mode and time, and closes it. */
export type OpenFile = { fd: number; finish(): Promise<void>; close(): Promise<void> };

/** What a file is to be given, by who makes it. `path` is absolute; owners are absent where they are not kept. */
export type FileDress = {
  path: string;
  mode: number;
  mtimeMs: number;
  uid?: number;
  gid?: number;
  sparse?: true;
};

export interface DirectoryTree extends TreeWriter {
  /** Opens a file for somebody else to write. `keep`: one that is there keeps its bytes, else it is made anew. */
  openFile(entry: FileEntry, keep?: boolean): Promise<OpenFile>;
  /** Where a file may be made: everything above it is real, and no directory is known to stand there. */
  placeFor(entry: FileEntry): Promise<FileDress>;
  /** Makes a path a further link of the file that is restored under `entry.link`; where that cannot be, a copy of it. */
  addLink(entry: FileEntry & { link: string }): Promise<void>;
  /** Gives directories their modes and times, which writing below them would have disturbed. Call it once, at the end. */
  finish(): Promise<void>;
  /** However it ended. */
  close(): Promise<void>;
}

type Metadata = Exclude<TreeEntry, { type: "deleted" }>;

/**
 * Writes entries straight into a directory, over what an earlier backup put there. Nothing is ever written outside of
 * it: paths are plain, no component on the way is a symbolic link, files are made anew and never followed.
 */
export function directoryTree(directory: string, options: DirectoryTreeOptions = {}): DirectoryTree {
  const keepOwners = options.keepOwners ?? process.getuid?.() === 0;
  const directories = new Map<string, Metadata>();
  /** Directories that are known to be real. */
  const known = new Set<string>();

  /** Files that further paths may be links of. */
  const linkable = new Set<string>();
  const attributes = attributeSetter();
  const refused = { count: 0, first: "" };

  const forget = (path: string) => {
    linkable.delete(path);
    if (!known.has(path) && !directories.has(path)) return; // nothing below it is known either
    for (const each of [...known]) if (isWithin(each, path)) known.delete(each);
    for (const each of [...directories.keys()]) if (isWithin(each, path)) directories.delete(each);
    for (const each of [...linkable]) if (isWithin(each, path)) linkable.delete(each);
  };

  /** Before the mode is set: it may take the right to. */
  const giveAttributes = async (target: { path: string } | { fd: number }, { path, xattrs }: Metadata) => {
    if (xattrs === undefined) return;
    const names = await attributes.set({ target, xattrs });
    if (names.length === 0) return;
    refused.count += names.length;
    refused.first ||= `${names[0]} of ${path}`;
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
    const found = await kindOf(path);
    // What is written to a file with several paths would show under all of them.
    const kind = found === "linked" && offset > 0 ? "file" : found;
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
    await giveAttributes({ fd: file.fd }, entry);
    await file.chmod(modeOf(entry));
    await file.utimes(entry.mtimeMs / 1000, entry.mtimeMs / 1000);
  };

  const writeFile = async (entry: FileEntry, body?: AsyncIterable<Uint8Array>) => {
    const file = await openFor(entry, false);
    const offset = entry.offset ?? 0;
    const whole = body && entry.holes !== undefined ? filled(body, entry.holes) : body;
    const writer = entry.sparse ? sparseWriter(file, offset) : fileWriter(file, offset, entry.size);
    try {
      const result = await writeExactly(entry.size, whole, writer.write);
      await writer.end();
      await finishFile(file, entry, offset + entry.size);
      return result;
    } finally {
      await writer.close();
      await file.close();
    }
  };

  const makeLink = async (entry: FileEntry & { link: string }) => {
    const [path, of] = [join(directory, entry.path), join(directory, checkTreePath(entry.link))];
    const areReal = (await parentsOf(entry.link, "leave")) && (await lstat(of)).isFile();
    if (!areReal) throw unsafe(entry.path, `${entry.link}, which it is a link to, is not a file`);
    await clear(entry.path);
    try {
      await link(of, path);
    } catch (error) {
      if (!CANNOT_LINK.has(codeOf(error) ?? "")) throw error;
      await copyFile(of, path, constants.COPYFILE_FICLONE);
      const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
      try {
        await finishFile(file, entry, entry.size);
      } finally {
        await file.close();
      }
    }
  };

  const place = async (entry: TreeEntry, body?: AsyncIterable<Uint8Array>): Promise<{ torn: boolean }> => {
    const path = checkTreePath(entry.path);
    if (entry.type === "deleted") {
      if (await parentsOf(path, "leave")) await clear(path);
      return { torn: false };
    }
    await parentsOf(path, "make");
    if (entry.type === "file") {
      if (entry.link !== undefined && entry.link !== path && linkable.has(entry.link)) {
        await makeLink({ ...entry, link: entry.link });
        return { torn: false };
      }
      const written = await writeFile(entry, body);
      if (entry.link === path && !written.torn) linkable.add(path);
      return written;
    }
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
    await giveAttributes({ path }, entry);
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
      const { mtimeMs, sparse } = entry;
      const dressed = { path: join(directory, entry.path), mode: modeOf(entry), mtimeMs, ...ownersOf(entry) };
      return sparse ? { ...dressed, sparse } : dressed;
    },
    async addLink(entry) {
      try {
        await parentsOf(checkTreePath(entry.path), "make");
        await makeLink(entry);
      } catch (error) {
        throw explained(error, entry);
      }
    },
    async finish() {
      const deepestFirst = [...directories].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [path, entry] of deepestFirst) {
        if (await parentsOf(path, "leave")) await dress(join(directory, path), entry);
      }
      if (refused.count > 0)
        options.refused?.(`${refused.count} extended attributes could not be set here, ${refused.first} the first`);
    },
    close: () => attributes.end(),
  };
}

/** A file system that has no links, or no more of this file, or lets us make none. */
const CANNOT_LINK: ReadonlySet<string> = new Set(["EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "EXDEV", "EACCES"]);

/** Leaves out blocks of zeros: what is not written is a hole. */
function sparseWriter(file: FileHandle, offset: number) {
  let at = offset;
  return {
    async write(bytes: Uint8Array): Promise<void> {
      for (const { from, to } of nonZero(bytes, at))
        for (let next = from; next < to; ) next += (await file.write(bytes, next, to - next, at + next)).bytesWritten;
      at += bytes.length;
    },
    end: async () => undefined,
    close: async () => undefined,
  };
}

async function kindOf(path: string): Promise<"none" | "directory" | "file" | "linked" | "other"> {
  try {
    const found = await lstat(path);
    if (found.isFile()) return found.nlink > 1 ? "linked" : "file";
    return found.isDirectory() ? "directory" : "other";
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "none";
    throw error;
  }
}

function unsafe(where: string, why: string): StillpointError {
  return new StillpointError("PATH_UNSAFE", { what: "Refused to write an entry of a backup", where, why });
}
