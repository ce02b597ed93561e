import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { bulkInsert } from "./bulk-insert.ts";
import { createTables, indexFailure, isOurs, isSpoilt, openChunkDatabase } from "./chunk-database.ts";
import { indexFiles } from "./index-files.ts";
import { type StoredChunkIndex, storedChunkIndex } from "./stored-chunk-index.ts";

export type IndexOptions = {
  /** Where the index is kept from one process to the next. Absent: in a file without a name, made anew each time. */
  directory?: string | undefined;
  /** Memory that it takes, whatever the size of the repository. */
  cacheBytes?: number | undefined;
};

const CACHE_BYTES = 64 * 1024 * 1024;
/** So many bytes of index objects, about 100 000 chunks, are worth being sorted first. */
const SORTED_BYTES = 4 * 1024 * 1024;

/** The index of a repository on one target: a replica lists other objects than the primary. */
export function indexId(repositoryId: string, url: string): string {
  return `${repositoryId}-${createHash("sha256").update(url).digest("hex").slice(0, 16)}`;
}

export interface OpenChunkIndex extends StoredChunkIndex, Disposable {
  /** So many bytes of index objects are about to be added. */
  prepare(bytes: number): void;
  /** What was added is there to be found. */
  settle(): Promise<void>;
}

/** Opens the index that a process before left, or an empty one. A file that is not whole, or another's, is dropped. */
export function openChunkIndex(id: string, options: IndexOptions = {}): OpenChunkIndex {
  const { directory, cacheBytes = CACHE_BYTES } = options;
  const files = directory === undefined ? undefined : indexFiles(directory, id);
  let path: string | undefined;
  let building = false;
  let database: DatabaseSync;
  let stored: StoredChunkIndex;
  let bulk: ReturnType<typeof bulkInsert> | undefined;
  /** Why there is none. */
  let dropped: unknown;
  let condemned: ReadonlySet<string> = new Set();

  function use(opened: DatabaseSync): void {
    database = opened;
    stored = storedChunkIndex(database, bulk?.gather);
    stored.condemn(condemned);
  }

  function reopen(): boolean {
    path = files?.newest();
    if (path === undefined || !existsSync(path)) return false;
    let opened: DatabaseSync | undefined;
    try {
      opened = openChunkDatabase(path, "shared", cacheBytes);
      if (isOurs(opened, id)) {
        use(opened);
        return true;
      }
    } catch (error) {
      if (!isSpoilt(error)) throw error;
    }
    opened?.close();
    files?.remove(path);
    return reopen();
  }

  function begin(): void {
    path = files?.building();
    building = true;
    const opened = openChunkDatabase(path ?? "", "building", cacheBytes);
    createTables(opened, id);
    use(opened);
  }

  function drop(because: unknown): void {
    if (dropped !== undefined) return;
    dropped = because;
    if (database.isOpen) database.close();
    bulk?.[Symbol.dispose]();
    bulk = undefined;
    if (path !== undefined) files?.remove(path);
  }

  function start(): void {
    dropped = undefined;
    building = false;
    files?.sweep();
    if (!reopen()) begin();
  }

  /** A file that turns out to be damaged goes at once: nothing that is read from it may count. */
  function failed(error: unknown): unknown {
    const failure = indexFailure(error, path);
    if (isSpoilt(error)) drop(failure);
    return failure;
  }

  function guarded<T>(work: (index: StoredChunkIndex) => T): T {
    if (dropped !== undefined) throw dropped;
    try {
      return work(stored);
    } catch (error) {
      throw failed(error);
    }
  }

  async function settle(): Promise<void> {
    await bulk?.finish();
    bulk?.[Symbol.dispose]();
    bulk = undefined;
    if (building && files !== undefined && path !== undefined) {
      database.close();
      path = files.publish(path);
      use(openChunkDatabase(path, "shared", cacheBytes));
      building = false;
    } else if (building) use(database);
    for (const _ of stored.sweep()) await nextTurn();
  }

  start();
  return {
    get chunks() {
      return guarded((index) => index.chunks);
    },
    get packs() {
      return guarded((index) => index.packs);
    },
    locate: (name) => guarded((index) => index.locate(name)),
    places: (name) => guarded((index) => index.places(name)),
    leanOn: (name) => guarded((index) => index.leanOn(name)),
    condemn(packs) {
      condemned = packs;
      stored.condemn(packs);
    },
    isCondemned: (packId) => condemned.has(packId),
    forget: (packIds) => guarded((index) => index.forget(packIds)),
    packLength: (packId) => guarded((index) => index.packLength(packId)),
    packIds: () => guarded((index) => index.packIds()),
    chunksIn: (packId) => guarded((index) => index.chunksIn(packId)),
    objectsOf: (packId) => guarded((index) => index.objectsOf(packId)),
    add: (object, content) => guarded((index) => index.add(object, content)),
    expect: (packId) => guarded((index) => index.expect(packId)),
    release: (packIds) => guarded((index) => index.release(packIds)),
    isExpectedHere: (packId) => guarded((index) => index.isExpectedHere(packId)),
    knows: (object) => guarded((index) => index.knows(object)),
    objects: () => guarded((index) => index.objects()),
    unlist: (object) => guarded((index) => index.unlist(object)),
    expected: () => guarded((index) => index.expected()),
    giveUp: (packId) => guarded((index) => index.giveUp(packId)),
    sweep: () => guarded((index) => index.sweep()),
    note: (key, value) => guarded((index) => index.note(key, value)),
    prepare(bytes) {
      if (dropped !== undefined) start();
      if (!building || bulk !== undefined || bytes < SORTED_BYTES || stored.packs > 0) return;
      const spill = `stillpoint-${randomBytes(8).toString("hex")}.spill`;
      bulk = bulkInsert(database, join(files?.directory ?? tmpdir(), spill));
      use(database);
    },
    settle: () =>
      settle().catch((error: unknown) => {
        throw failed(error);
      }),
    [Symbol.dispose]() {
      if (dropped !== undefined) return;
      if (building) drop(new StillpointError("CANCELLED", { what: "The repository was closed" }));
      else database.close();
    },
  };
}
