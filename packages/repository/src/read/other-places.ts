import { StillpointError } from "@stillpoint/contracts/errors";
import { packName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type ChunkContext, joinReads, type Read, readChunks, type WantedChunk } from "./chunk-reader.ts";

type PlacesContext = Pick<RepositoryContext, "store" | "index" | "loader" | "fellBack">;

/** Damage of the pack that a read named; what else goes wrong does so for every pack. */
function isDamage(error: unknown): error is StillpointError {
  return error instanceof StillpointError && (error.code === "OBJECT_DAMAGED" || error.code === "OBJECT_COLD");
}

/** Nothing of the pack can be read from where it lies: it is gone, was swept, or must be thawed first. */
function isWhole({ code, cause }: StillpointError): boolean {
  return code === "OBJECT_COLD" || (cause instanceof StillpointError && cause.code === "OBJECT_MISSING");
}

/**
 * One read, and where its pack is damaged or gone in every copy, its chunks from other packs that hold them too: two writers
 * stored them at once, or they were copied out of a pack since they were looked up. A chunk that lies in no other pack may be
 * sound where it lies, so that the range is halved until what is damaged is found. The first failure is thrown where a chunk
 * can be read nowhere.
 */
export async function readWhereverItLies<Chunk extends WantedChunk, Result>(
  context: PlacesContext,
  read: Read<Chunk>,
  attempt: (read: Read<Chunk>) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result[]> {
  /** `tried`: packs that gave none of these chunks. `first`: why the first of them did not. */
  async function go(some: Read<Chunk>, tried: ReadonlySet<string>, first?: StillpointError): Promise<Result[]> {
    let failure: StillpointError;
    try {
      return [await attempt(some)];
    } catch (error) {
      if (!isDamage(error)) throw error;
      failure = error;
    }
    const told = first ?? failure;
    const now = new Set([...tried, some.packId]);
    const moved = await elsewhere(some.chunks, now);
    if (moved.length === 0 || (isWhole(failure) && moved.length < some.chunks.length)) throw told;
    if (some.chunks.length > 1 && !isWhole(failure)) {
      const middle = some.chunks.length >> 1;
      const halves = [some.chunks.slice(0, middle), some.chunks.slice(middle)];
      return await all(
        halves.flatMap((half) => joinReads(half)),
        (half) => go(half, tried, told),
      );
    }
    return await all(joinReads(moved), async (other) => {
      const results = await go(other, now, told);
      context.fellBack({
        object: packName(some.packId),
        from: context.store.url,
        pack: packName(other.packId),
        error: failure,
      });
      return results;
    });
  }

  /** Those of the chunks that lie in yet another pack, each with its place there. */
  async function elsewhere(chunks: readonly Chunk[], tried: ReadonlySet<string>): Promise<Chunk[]> {
    const found = () =>
      chunks.flatMap((chunk) => {
        const location = context.index.places(chunk.name).find(({ packId }) => !tried.has(packId));
        return location === undefined ? [] : [{ ...chunk, location }];
      });
    const known = found();
    if (known.length === chunks.length) return known;
    // Somebody may have stored them anew since the index was read.
    await context.loader.load(signal);
    return found();
  }

  return await go(read, new Set());
}

/** As `readChunks`, in however many reads it takes: the plain bytes of all its chunks by the hex of their names. */
export async function readChunksAnywhere(
  context: ChunkContext & PlacesContext,
  read: Read,
  signal?: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const parts = await readWhereverItLies(context, read, (some) => readChunks(context, some, signal), signal);
  return new Map(parts.flatMap((opened) => [...opened]));
}

async function all<Part, Result>(parts: readonly Part[], work: (part: Part) => Promise<Result[]>): Promise<Result[]> {
  const results: Result[] = [];
  for (const part of parts) results.push(...(await work(part)));
  return results;
}
