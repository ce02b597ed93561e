import { randomUUID } from "node:crypto";
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { errnoOf, fromErrno, rootMissing } from "./directory-errors.ts";
import { listDirectory } from "./directory-list.ts";
import { assertPlainPut, objectExists, objectMissing, objectRetained } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { type ByteRange, bodyParts, type ObjectBody, type ObjectStore, type PutOptions } from "./object-store.ts";

/** Temporary files lie here, on the same file system; a name that no object can have. */
const TEMPORARY = ".tmp";

const DAY_MS = 86_400_000;
const REFUSED = new Set(["EPERM", "EACCES", "EROFS"]);

/** Another process was quicker. */
function absent(error: unknown): { mtimeMs: number } {
  if (errnoOf(error) === "ENOENT") return { mtimeMs: Number.POSITIVE_INFINITY };
  throw error;
}

/** Writes a list of buffers whole: `writev` may take fewer bytes than it was given. */
async function writeAll(file: FileHandle, parts: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
  for (const part of parts) {
    signal?.throwIfAborted();
    for (let at = 0; at < part.length; ) at += (await file.write(part, at, part.length - at)).bytesWritten;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, "r");
  await handle.sync();
}

async function readRange(file: FileHandle, range: ByteRange | undefined): Promise<Uint8Array> {
  const { size } = await file.stat();
  const offset = Math.min(range?.offset ?? 0, size);
  const wanted = Math.min(range?.length ?? size, size - offset);
  // Not from the pool: the reader may hand the memory on to another thread.
  const buffer = new Uint8Array(wanted);
  let filled = 0;
  while (filled < wanted) {
    const { bytesRead } = await file.read(buffer, filled, wanted - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled === wanted ? buffer : buffer.slice(0, filled);
}

/** Objects as files below a directory that exists. A missing root is never made: it may be a disk that is not mounted. */
export function directoryStore(root: string): ObjectStore {
  const inRoot = (name: string) => join(root, name);

  async function assertRoot(): Promise<void> {
    const found = await stat(root).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") throw rootMissing(root);
      throw fromErrno(error, "Cannot use the object store", root);
    });
    if (!found.isDirectory()) throw rootMissing(root);
  }

  /** Makes the directories between the root and a file, each durable; never the root itself. */
  async function makeParents(file: string): Promise<void> {
    let parent = root;
    for (const component of relative(root, dirname(file)).split(sep)) {
      const directory = join(parent, component);
      await mkdir(directory, { mode: 0o700 }).then(
        () => syncDirectory(dirname(directory)),
        (error: unknown) => {
          if (errnoOf(error) !== "EEXIST") throw error;
        },
      );
      parent = directory;
    }
  }

  /** Temporary files of processes that ended in the middle of a put. No put takes a day. */
  async function sweepTemporary(): Promise<void> {
    const newest = (await stat(inRoot(TEMPORARY))).mtimeMs;
    for (const name of await readdir(inRoot(TEMPORARY))) {
      const path = inRoot(`${TEMPORARY}/${name}`);
      const { mtimeMs } = await stat(path).catch(absent);
      if (newest - mtimeMs > DAY_MS) await unlink(path).catch(absent);
    }
  }

  let swept: Promise<void> | undefined;

  async function writeTemporary(parts: readonly Uint8Array[], signal?: AbortSignal): Promise<string> {
    const path = inRoot(`${TEMPORARY}/${randomUUID()}`);
    const create = () => open(path, "wx", 0o600);
    const file = await create().catch(async (error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
      await assertRoot();
      await makeParents(path);
      return create();
    });
    try {
      await writeAll(file, parts, signal);
      await file.sync();
    } catch (error) {
      await file.close();
      await unlink(path);
      throw error;
    }
    await file.close();
    // What cannot be swept costs space and nothing else, and the next process tries again.
    swept ??= sweepTemporary().catch(() => undefined);
    await swept;
    return path;
  }

  async function put(name: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    const { ifAbsent = false, signal } = options;
    assertObjectName(name);
    assertPlainPut(name, options);
    const final = inRoot(name);
    try {
      const temporary = await writeTemporary(bodyParts(body), signal);
      // `link` refuses a name that is taken, `rename` replaces it; both are one step of the file system.
      const place = () => (ifAbsent ? link(temporary, final) : rename(temporary, final));
      try {
        await place().catch(async (error: unknown) => {
          if (errnoOf(error) !== "ENOENT") throw error;
          await makeParents(final);
          await place();
        });
      } catch (error) {
        await unlink(temporary);
        if (errnoOf(error) !== "EEXIST") throw error;
        // Perhaps of an attempt whose directory was not synced: whoever takes it for stored must find it durable.
        await syncDirectory(dirname(final));
        throw objectExists(name);
      }
      if (ifAbsent) await unlink(temporary);
      await syncDirectory(dirname(final));
    } catch (error) {
      throw fromErrno(error, "Cannot write an object", final);
    }
  }

  async function get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    assertObjectName(name);
    signal?.throwIfAborted();
    try {
      await using file = await open(inRoot(name), "r");
      return await readRange(file, range);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw fromErrno(error, "Cannot read an object", inRoot(name));
      await assertRoot();
      throw objectMissing(name);
    }
  }

  async function head(name: string) {
    assertObjectName(name);
    try {
      const { size, mtimeMs } = await stat(inRoot(name));
      return { name, size, modifiedMs: mtimeMs };
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTDIR") throw fromErrno(error, "Cannot look at an object", inRoot(name));
      await assertRoot();
      return undefined;
    }
  }

  return {
    url: pathToFileURL(root).href,
    fileOf(name) {
      assertObjectName(name);
      return inRoot(name);
    },
    put,
    get,
    head,
    async *list(prefix, { after, signal } = {}) {
      await assertRoot();
      try {
        yield* listDirectory(root, prefix, after, signal);
      } catch (error) {
        throw fromErrno(error, "Cannot list objects", inRoot(prefix));
      }
    },
    async delete(name) {
      assertObjectName(name);
      try {
        await unlink(inRoot(name));
        await syncDirectory(dirname(inRoot(name)));
      } catch (error) {
        // The file system keeps it: immutable, append-only, read-only, or others'. Who may not even look is told by the look.
        if (REFUSED.has(errnoOf(error) ?? "")) {
          if ((await head(name)) === undefined) return;
          throw objectRetained(inRoot(name), "the file system does not let it go", error);
        }
        if (errnoOf(error) !== "ENOENT") throw fromErrno(error, "Cannot delete an object", inRoot(name));
        await assertRoot();
      }
    },
    // The file system's clock is not this machine's where it is a network's: a file that was just written tells it.
    async now() {
      try {
        const path = await writeTemporary([Uint8Array.of(0)]);
        const { mtimeMs } = await stat(path);
        await unlink(path);
        return mtimeMs;
      } catch (error) {
        throw fromErrno(error, "Cannot ask the file system for its time", root);
      }
    },
    createsAtomically: () => Promise.resolve(true),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
