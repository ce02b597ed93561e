import { DATA_CHUNK } from "../format/chunk-type.ts";
import { objectDamaged } from "../format/damage.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { packName } from "../format/kinds.ts";
import { openPackTrailer, type PackEntry } from "../format/pack-format.ts";
import { writeIndex } from "../index/index-objects.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { packWriter } from "./pack-writer.ts";

/** Chunks that are open in memory at once. */
const OPEN_AT_ONCE = 16;

export type CopyContext = Pick<RepositoryContext, "store" | "ring" | "pool" | "random" | "chunking" | "index">;
export type Copied = { packs: IndexedPack[]; bytes: number };

/** A pack to copy from: its bytes, and what says where in them its chunks are. */
export type PackSource = {
  object: string;
  bytes: Uint8Array;
  header: Uint8Array;
  key: Uint8Array;
  epoch: number;
  entries: readonly PackEntry[];
};

async function readPack({ store, ring }: CopyContext, packId: string, signal: AbortSignal): Promise<PackSource> {
  const object = packName(packId);
  const bytes = await store.get(object, undefined, signal);
  const { pack, entries } = openPackTrailer(object, bytes, ring.epochs);
  const epoch = Buffer.from(pack.header.buffer, pack.header.byteOffset, pack.header.length).readUInt32BE(8);
  return { object, bytes, header: pack.header, key: pack.key, epoch, entries };
}

type Placed = { entry: PackEntry; position: number };

/** Groups of one type each, for chunks are delivered by type. */
function grouped(chunks: readonly Placed[]): Placed[][] {
  return [...Map.groupBy(chunks, ({ entry }) => entry.type).values()].flatMap((same) =>
    Array.from({ length: Math.ceil(same.length / OPEN_AT_ONCE) }, (_, i) =>
      same.slice(i * OPEN_AT_ONCE, (i + 1) * OPEN_AT_ONCE),
    ),
  );
}

/**
 * Stores chunks of some packs once more, in new packs of the same epoch, and lists these: their names, and all that refers to
 * them, stay. Every chunk is opened and its name compared on the way. Resolves when packs and index are durable.
 */
export async function copyChunks(
  context: CopyContext,
  packIds: Iterable<string>,
  wanted: (packId: string, position: number) => boolean,
  signal: AbortSignal,
  /** Called before each pack is read. */
  before: () => Promise<void> = () => Promise.resolve(),
  /** Where else a pack comes from than from the store, with its own list. */
  read: (context: CopyContext, packId: string, signal: AbortSignal) => Promise<PackSource> = readPack,
): Promise<Copied> {
  const { store, ring, pool } = context;
  const stored: IndexedPack[] = [];
  const writers = new Map<number, ReturnType<typeof packWriter>>();
  let uploads: Promise<void>[] = [];
  let bytes = 0;

  function writerOf(epoch: number): ReturnType<typeof packWriter> {
    const writer =
      writers.get(epoch) ??
      packWriter({
        store,
        keys: { ...ring.epochs, current: epoch },
        random: context.random,
        target: context.chunking.packTarget,
        epoch,
        signal,
        upload: (work) => {
          const running = work();
          running.catch(() => undefined); // it is thrown where all of them are waited for
          uploads.push(running);
        },
        begun: (packId) => context.index.expect(packId),
        stored: (pack) => stored.push(pack),
      });
    writers.set(epoch, writer);
    return writer;
  }

  async function copyGroup(from: PackSource, chunks: readonly Placed[]): Promise<void> {
    const { chunks: opened } = await pool.run({
      task: "open",
      range: from.bytes,
      chunks: chunks.map(({ entry, position }) => ({
        start: entry.offset,
        length: entry.length,
        position,
        name: entry.name,
        type: entry.type,
      })),
      header: from.header,
      key: from.key,
      epoch: from.epoch,
    });
    const plains = opened.map((plain, i) => {
      if (typeof plain === "string") throw objectDamaged(from.object, `chunk ${chunks[i]?.position}: ${plain}`);
      return plain;
    });
    const slab = new SharedArrayBuffer(plains.reduce((sum, { length }) => sum + length, 0));
    const writer = writerOf(from.epoch);
    const { pack, first } = writer.assign(chunks.length, slab.byteLength);
    let start = 0;
    const spans = plains.map((plain, i) => {
      new Uint8Array(slab).set(plain, start);
      const span = { start, length: plain.length, position: first + i };
      start += plain.length;
      return span;
    });
    const { sealed, lengths } = await pool.run({ task: "seal", slab, spans, header: pack.header, key: pack.key });
    bytes += lengths.reduce((sum, length) => sum + length, 0);
    const names = chunks.map(({ entry }) => Uint8Array.from(entry.name));
    writer.deliver(pack, first, names, chunks[0]?.entry.type ?? DATA_CHUNK, sealed, lengths, slab.byteLength);
    await Promise.all(uploads);
    uploads = [];
  }

  for (const packId of packIds) {
    signal.throwIfAborted();
    await before();
    const from = await read(context, packId, signal);
    const chunks = from.entries
      .map((entry, position) => ({ entry, position }))
      .filter(({ position }) => wanted(packId, position));
    for (const group of grouped(chunks)) await copyGroup(from, group);
  }
  for (const writer of writers.values()) writer.end();
  await Promise.all(uploads);
  if (stored.length > 0) {
    const content = { supersedes: [], packs: stored };
    context.index.add(await writeIndex(store, content, ring.epochs, context.random, signal), content);
  }
  return { packs: stored, bytes };
}
