import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ChunkIndex } from "../index/chunk-index.ts";
import { readIndex } from "../index/index-objects.ts";
import { type OpenChunkIndex, openChunkIndex } from "../index/open-chunk-index.ts";
import type { StoredChunkIndex } from "../index/stored-chunk-index.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { otherCopies } from "./other-copies.ts";

/**
 * The repository for who reads: from the primary, and from its copies what that cannot give. Never for who writes or
 * deletes: a copy may still have what the primary has swept, and nothing new may lean on it.
 */
export function readingContext(
  context: RepositoryContext,
  readable: ObjectStore,
  closing: AsyncDisposableStack,
): RepositoryContext {
  const copies = otherCopies(readable)?.copies ?? [];
  if (copies.length === 0) return context;
  /** What only index objects of the copies list: the primary lost its own. */
  let spare: OpenChunkIndex | undefined;
  const seen = new Set<string>();

  async function loadSpare(copy: ObjectStore, signal?: AbortSignal): Promise<void> {
    for await (const { name } of copy.list("index/", { signal })) {
      if (seen.has(`${copy.url} ${name}`)) continue;
      const { supersedes, packs } = await readIndex(copy, name, context.ring.epochs, signal);
      seen.add(`${copy.url} ${name}`);
      const unknown = packs.filter(({ packId }) => context.index.packLength(packId) === undefined);
      if (unknown.length === 0) continue;
      spare ??= closing.use(openChunkIndex(context.ring.repositoryId));
      spare.add(name, { supersedes, packs: unknown });
    }
  }

  const locate: ChunkIndex["locate"] = (name) => context.index.locate(name) ?? spare?.locate(name);
  const places: ChunkIndex["places"] = (name) => [...context.index.places(name), ...(spare?.places(name) ?? [])];
  // All else, present and to come, is the primary's index itself: only looking up goes on to what is spare.
  const index: StoredChunkIndex = Object.assign(Object.create(context.index), { locate, places });
  return {
    ...context,
    store: readable,
    index,
    loader: {
      damaged: context.loader.damaged,
      /** Called when a chunk was not found. */
      async load(signal) {
        const failed: unknown[] = [];
        for (const attempt of [
          () => context.loader.load(signal),
          ...copies.map((copy) => () => loadSpare(copy, signal)),
        ])
          await attempt().catch((error: unknown) => {
            if (!(error instanceof StillpointError)) throw error;
            failed.push(error);
          });
        // One that could be read is enough: whether the chunk is in it, the caller sees.
        if (failed.length === copies.length + 1) throw failed[0];
      },
    },
  };
}
