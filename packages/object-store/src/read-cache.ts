import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { errnoOf, fromErrno } from "./directory-errors.ts";
import type { ByteRange, ObjectStore } from "./object-store.ts";

export type ReadCacheOptions = {
  /** For this cache alone; what lies in it may be deleted at any time. */
  directory: string;
  capBytes: number;
  /** Of which kinds whole objects are kept: such as are written once, never changed, and only read when they were listed. */
  prefixes?: readonly string[];
  /** Hears of what went wrong with the directory; the read went on without it. */
  failed?: ((error: unknown) => void) | undefined;
};

/** What is read whole and again and again. A manifest is not: that it is gone must be seen. */
const PREFIXES = ["index/"];

const CHECKSUM_BYTES = 4;
const ENTRY = /^[0-9a-f]{64}$/;

function checksum(bytes: Uint8Array): Buffer {
  const sum = Buffer.alloc(CHECKSUM_BYTES);
  sum.writeUInt32BE(crc32(bytes));
  return sum;
}

/**
 * Keeps whole objects in a directory, over restarts, the least recently read ones going first. An entry is written beside
 * its name and renamed, and carries a checksum: one that was cut off or touched is no entry. What is in it is as sealed as
 * the target, so that no more trust is put in the directory than in that.
 */
export async function withReadCache(store: ObjectStore, options: ReadCacheOptions): Promise<ObjectStore> {
  const { directory, capBytes, prefixes = PREFIXES, failed = () => undefined } = options;
  const pathOf = (entry: string) => join(directory, entry);
  const entryOf = (name: string) => createHash("sha256").update(`${store.url}\n${name}`).digest("hex");
  const isKept = (name: string) => prefixes.some((prefix) => name.startsWith(prefix));
  /** A cache that cannot be used is no reason to fail a read: the object is fetched, as without it. */
  const orWithout = (error: unknown): undefined => {
    failed(fromErrno(error, "Cannot use the read cache", directory));
  };

  /** Least recently read first; sizes in bytes. */
  const entries = new Map<string, number>();
  let totalBytes = 0;
  const forget = (entry: string) => {
    totalBytes -= entries.get(entry) ?? 0;
    entries.delete(entry);
  };
  const remember = (entry: string, bytes: number) => {
    forget(entry);
    entries.set(entry, bytes);
    totalBytes += bytes;
  };

  async function load(): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const found: { entry: string; size: number; readMs: number }[] = [];
    for (const entry of await readdir(directory)) {
      // Left behind by a process that ended in the middle of writing.
      if (entry.endsWith(".new")) await rm(pathOf(entry), { force: true });
      if (!ENTRY.test(entry)) continue;
      const { size, mtimeMs } = await stat(pathOf(entry));
      found.push({ entry, size, readMs: mtimeMs });
    }
    for (const { entry, size } of found.sort((a, b) => a.readMs - b.readMs)) remember(entry, size);
  }
  async function evict(): Promise<void> {
    for (const entry of entries.keys()) {
      if (totalBytes <= capBytes) return;
      forget(entry);
      await rm(pathOf(entry), { force: true });
    }
  }
  async function drop(entry: string): Promise<void> {
    forget(entry);
    await rm(pathOf(entry), { force: true });
  }
  async function keep(entry: string, bytes: Uint8Array): Promise<void> {
    const size = bytes.length + CHECKSUM_BYTES;
    if (size > capBytes) return;
    const temporary = pathOf(`${entry}.${randomUUID()}.new`);
    try {
      await writeFile(temporary, [checksum(bytes), bytes], { mode: 0o600 });
      await rename(temporary, pathOf(entry));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    remember(entry, size);
    await evict();
  }
  async function read(entry: string): Promise<Uint8Array | undefined> {
    const path = pathOf(entry);
    const file = await readFile(path).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (file === undefined) {
      forget(entry);
      return undefined;
    }
    const bytes = file.subarray(CHECKSUM_BYTES);
    if (file.length < CHECKSUM_BYTES || !checksum(bytes).equals(file.subarray(0, CHECKSUM_BYTES))) {
      await drop(entry);
      return undefined;
    }
    remember(entry, file.length);
    // The order outlives this process by the files' times.
    const readAt = new Date();
    await utimes(path, readAt, readAt);
    // The caller's own memory: nothing else lies in it.
    return Uint8Array.from(bytes);
  }

  try {
    await load();
    await evict();
  } catch (error) {
    throw fromErrno(error, "Cannot use the read cache", directory);
  }

  return {
    url: store.url,
    locks: store.locks,
    classes: store.classes,
    large: store.large,
    put: store.put.bind(store),
    async get(name: string, range?: ByteRange, signal?: AbortSignal) {
      if (!isKept(name)) return store.get(name, range, signal);
      const entry = entryOf(name);
      const cached = entries.has(entry) ? await read(entry).catch(orWithout) : undefined;
      if (cached !== undefined)
        return range === undefined ? cached : cached.slice(range.offset, range.offset + range.length);
      const bytes = await store.get(name, range, signal);
      // A range is not the object: only what was read whole is kept.
      if (range === undefined) await keep(entry, bytes).catch(orWithout);
      return bytes;
    },
    list: store.list.bind(store),
    head: store.head.bind(store),
    async delete(name, signal) {
      await store.delete(name, signal);
      if (isKept(name)) await drop(entryOf(name)).catch(orWithout);
    },
    now: store.now.bind(store),
    createsAtomically: store.createsAtomically.bind(store),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
