import { StillpointError } from "@stillpoint/contracts/errors";
import { objectDamaged } from "../format/damage.ts";
import { packName } from "../format/kinds.ts";
import { packKeyOf } from "../format/pack-format.ts";
import type { ChunkLocation } from "../index/chunk-index.ts";
import { readVerified } from "../replicas/other-copies.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { ownMemory } from "../workers/own-memory.ts";
import type { PackRange } from "../workers/tasks.ts";

export type WantedChunk = { name: Uint8Array; location: ChunkLocation };

/** Bytes between two wanted chunks that are rather read in vain than asked for apart. */
const GAP = 65_536;
/** What is read in vain is at most such a part of what is wanted: a restore reads no more than twice what it restores. */
const GAPS_PART = 8;
export const LONGEST_READ = 8 * 1024 * 1024;

/** A range of a pack that holds the chunks, of which so many bytes are theirs. */
export type Read<Chunk extends WantedChunk = WantedChunk> = {
  packId: string;
  offset: number;
  length: number;
  wanted: number;
  chunks: Chunk[];
};

/** Pure: neighbouring chunks of a pack are joined into one read. */
export function joinReads<Chunk extends WantedChunk>(wanted: readonly Chunk[]): Read<Chunk>[] {
  const sorted = [...wanted].sort((a, b) =>
    a.location.packId === b.location.packId
      ? a.location.offset - b.location.offset
      : a.location.packId < b.location.packId
        ? -1
        : 1,
  );
  const reads: Read<Chunk>[] = [];
  for (const chunk of sorted) {
    const { packId, offset, length } = chunk.location;
    const last = reads.at(-1);
    const end = last === undefined ? 0 : last.offset + last.length;
    if (last?.packId === packId && offset - end <= GAP) {
      const joined = Math.max(last.length, offset + length - last.offset);
      const wanted = last.wanted + length;
      if (joined <= LONGEST_READ && (joined - wanted) * GAPS_PART <= wanted) {
        last.length = joined;
        last.wanted = wanted;
        last.chunks.push(chunk);
        continue;
      }
    }
    reads.push({ packId, offset, length, wanted: length, chunks: [chunk] });
  }
  return reads;
}

/** `where` names the object that asks, should the chunk not be in the index. */
export async function locateChunk(
  { index, loader }: Pick<RepositoryContext, "index" | "loader">,
  where: string,
  name: Uint8Array,
  signal?: AbortSignal,
): Promise<WantedChunk> {
  let location = index.locate(name);
  if (location === undefined) {
    // Another writer may have listed it since.
    await loader.load(signal);
    location = index.locate(name);
  }
  // An index object that does not open may be what lists it.
  for (const damage of location === undefined ? loader.damaged.values() : []) throw damage;
  if (location === undefined)
    throw objectDamaged(where, `its chunk ${Buffer.from(name).toString("hex")} is in no index`);
  return { name, location };
}

export type ChunkContext = Pick<RepositoryContext, "store" | "ring" | "pool">;

/**
 * Fetches and opens the chunks of one read; straight from the file where the store keeps its objects in files. Rejects, naming
 * the pack, if one of them is not what was stored in any copy.
 */
export async function readChunks(
  context: ChunkContext,
  read: Read,
  signal?: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const object = packName(read.packId);
  const { offset, length } = read;
  const path = context.store.fileOf?.(object);
  if (path !== undefined) {
    const opened = await openRange(context, read, { path, offset, length });
    if (typeof opened !== "string") return opened;
    // Once more by the store, which tries again and knows of other copies.
  }
  return await readVerified(context.store, object, async (store) => {
    const bytes = await store.get(object, { offset, length }, signal).catch((error: unknown) => {
      if (error instanceof StillpointError && error.code === "OBJECT_MISSING")
        throw objectDamaged(object, "the object is missing", error);
      throw error;
    });
    if (bytes.length < length) throw objectDamaged(object, "it is cut short");
    const opened = await openRange(context, read, bytes);
    if (typeof opened === "string") throw objectDamaged(object, opened);
    return opened;
  });
}

/** The plain bytes by the hex of their names, or which chunk is not what was stored. */
async function openRange(
  { ring, pool }: ChunkContext,
  read: Read,
  range: PackRange,
): Promise<Map<string, Uint8Array> | string> {
  const epoch = read.chunks[0]?.location.epoch ?? 0;
  const { chunks } = await pool.run(
    {
      task: "open",
      range,
      chunks: read.chunks.map(({ name, location }) => ({
        start: location.offset - read.offset,
        length: location.length,
        position: location.position,
        type: location.type,
        name,
      })),
      ...packKeyOf(packName(read.packId), epoch, ring.epochs),
      epoch,
    },
    ownMemory(range),
  );
  const opened = new Map<string, Uint8Array>();
  for (const [i, chunk] of chunks.entries()) {
    if (typeof chunk === "string") return chunk;
    opened.set(Buffer.from(read.chunks[i]?.name ?? []).toString("hex"), chunk);
  }
  return opened;
}
