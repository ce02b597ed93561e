import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ChunkType } from "../format/chunk-type.ts";
import type { Chunking } from "../format/documents.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { NAME_LENGTH, nameKey } from "../format/pack-format.ts";
import type { EpochKeys } from "../format/sealed-object.ts";
import type { ChunkIndex } from "../index/chunk-index.ts";
import { writeIndex } from "../index/index-objects.ts";
import type { Writing } from "../leases/writing.ts";
import type { Span } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { packWriter } from "./pack-writer.ts";
import { spanGroups } from "./span-groups.ts";
import type { taskGroup } from "./task-group.ts";
import type { uploadQueue } from "./upload-queue.ts";

export type SinkOptions = {
  store: ObjectStore;
  index: ChunkIndex;
  keys: EpochKeys;
  random: (length: number) => Uint8Array;
  chunking: Chunking;
  pool: WorkerPool;
  uploads: ReturnType<typeof uploadQueue>;
  group: ReturnType<typeof taskGroup>;
  /** Is told what this backup stands on. */
  writing: Pick<Writing, "leans" | "owns" | "flushed">;
  signal: AbortSignal;
};

/** An index object for every so many packs: what a broken-off backup stored until then is not stored twice. */
const PACKS_PER_INDEX = 64;

type NamedSpan = Span & { name: Uint8Array };

/** Takes chunks, stores those that the repository does not have, and lists them in index objects once they are durable. */
export function chunkSink(options: SinkOptions) {
  const { keys, pool, index, group, writing } = options;
  const epoch = keys.current;
  /** Names in packs of this backup that no index object lists yet. */
  const pending = new Set<string>();
  let stored: IndexedPack[] = [];
  const begun: string[] = [];
  let storedBytes = 0;
  let newBytes = 0;

  const packs = packWriter({
    store: options.store,
    keys,
    random: options.random,
    target: options.chunking.packTarget,
    epoch,
    signal: options.signal,
    upload: (work) =>
      group.spawn(async () => {
        await options.uploads.run(work);
        if (stored.length >= PACKS_PER_INDEX) await listStored();
      }),
    begun(packId) {
      begun.push(packId);
      index.expect(packId);
    },
    stored: (pack) => {
      writing.owns(pack.packId);
      stored.push(pack);
    },
  });

  async function listStored(): Promise<void> {
    const listed = stored;
    if (listed.length === 0) return;
    stored = [];
    const content = { supersedes: [], packs: listed };
    index.add(await writeIndex(options.store, content, keys, options.random, options.signal), content);
    for (const { entries } of listed) for (const { name } of entries) pending.delete(nameKey(name));
    await writing.flushed();
  }

  function leansOn(name: Uint8Array): boolean {
    const location = index.leanOn(name);
    if (location !== undefined) writing.leans(location);
    return location !== undefined;
  }

  function isNew(name: Uint8Array): boolean {
    if (leansOn(name)) return false;
    const key = nameKey(name);
    if (pending.has(key)) return false;
    pending.add(key);
    return true;
  }

  async function seal(slab: SharedArrayBuffer, fresh: readonly NamedSpan[], type: ChunkType): Promise<void> {
    const plainBytes = fresh.reduce((sum, { length }) => sum + length, 0);
    newBytes += plainBytes;
    const { pack, first } = packs.assign(fresh.length, plainBytes);
    const { sealed, lengths } = await pool.run({
      task: "seal",
      slab,
      spans: fresh.map(({ start, length }, i) => ({ start, length, position: first + i })),
      header: pack.header,
      key: pack.key,
    });
    storedBytes += lengths.reduce((sum, length) => sum + length, 0);
    const names = fresh.map(({ name }) => name);
    packs.deliver(pack, first, names, type, sealed, lengths, plainBytes);
  }

  /** Stores those of the named chunks that are new; it goes on in the group. */
  function store(
    slab: SharedArrayBuffer,
    spans: readonly Span[],
    names: readonly Uint8Array[],
    type: ChunkType,
    done: () => void,
  ): void {
    const fresh = spans.flatMap((span, i) => {
      const name = names[i];
      return name !== undefined && isNew(name) ? [{ ...span, name }] : [];
    });
    const parts = spanGroups(fresh);
    group.spawn(async () => {
      await Promise.all(parts.map((part) => seal(slab, part, type)));
      done();
    });
  }

  return {
    get storedBytes() {
      return storedBytes;
    },
    /** The same before compression and sealing. */
    get newBytes() {
      return newBytes;
    },
    epoch,
    /** Whether a chunk is there, or about to be, for this backup to stand on. */
    leanOn: (name: Uint8Array) => leansOn(name) || pending.has(nameKey(name)),
    store,
    /** Names the chunks and stores those that are new. `done` is called when the memory is free. */
    async add(
      slab: SharedArrayBuffer,
      spans: readonly Span[],
      type: ChunkType,
      done: () => void,
    ): Promise<Uint8Array[]> {
      const { names: joined } = await pool.run({ task: "name", slab, spans, epoch, type });
      const names = spans.map((_, i) => joined.subarray(i * NAME_LENGTH, (i + 1) * NAME_LENGTH));
      store(slab, spans, names, type, done);
      return names;
    },
    /** Nothing is under way any more, however it ended: packs that came and are not listed may be adopted. */
    release: () => index.release(begun),
    /** No chunk follows. The last pack is stored, then listed: afterwards every chunk may be leaned on. */
    async end(): Promise<void> {
      await group.ended();
      group.check();
      packs.end();
      await group.ended();
      group.check();
      await listStored();
    },
  };
}
