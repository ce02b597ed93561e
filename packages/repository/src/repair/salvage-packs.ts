import { StillpointError } from "@stillpoint/contracts/errors";
import type { IndexedPack } from "../format/index-format.ts";
import { packName } from "../format/kinds.ts";
import { packKeyOf } from "../format/pack-format.ts";
import { unlistPacks } from "../garbage/unlist-packs.ts";
import { readIndex } from "../index/index-objects.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { copyChunks, type PackSource } from "../write/copy-chunks.ts";
import { moveToQuarantine } from "./quarantine.ts";

export type Salvaged = {
  packId: string;
  /** Chunks that open, and are stored in a new pack now. */
  saved: number;
  /** Chunks that do not, and that another pack holds. */
  elsewhere: number;
  /** Chunks that nobody has any more. */
  lost: number;
  /** Why the damaged object is still there. */
  retained?: string | undefined;
};

type Options = { before: () => Promise<void>; signal: AbortSignal };
type Broken = { pack: IndexedPack; bytes: Uint8Array | undefined; good: Set<number> };

/** What the index objects say of the packs: a damaged pack's own list may not open. */
async function listedAs(context: RepositoryContext, packIds: ReadonlySet<string>, signal: AbortSignal) {
  const { index, store, ring } = context;
  const found = new Map<string, IndexedPack>();
  for (const object of new Set([...packIds].flatMap((packId) => index.objectsOf(packId))))
    for (const pack of (await readIndex(store, object, ring.epochs, signal)).packs)
      if (packIds.has(pack.packId)) found.set(pack.packId, pack);
  return found;
}

/** As two reads give it: what one of them lacks would be given up for good. STORE_UNREACHABLE where they differ. */
async function bytesOf({ store }: RepositoryContext, object: string, signal: AbortSignal) {
  const read = () =>
    store.get(object, undefined, signal).catch((error: unknown) => {
      if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
      throw error;
    });
  const [first, second] = [await read(), await read()];
  if (first === second || (first !== undefined && second !== undefined && Buffer.compare(first, second) === 0))
    return second;
  throw new StillpointError("STORE_UNREACHABLE", {
    what: "Saved nothing of a damaged pack",
    where: object,
    why: "the object store gave other bytes when it was read once more",
    hint: "apply the plan again",
  });
}

function sourceOf(context: RepositoryContext, pack: IndexedPack, bytes: Uint8Array): PackSource {
  const object = packName(pack.packId);
  const { header, key } = packKeyOf(object, pack.epoch, context.ring.epochs);
  return { object, bytes, header, key, epoch: pack.epoch, entries: pack.entries };
}

/** Positions of the chunks that open, each tried by itself. */
async function goodIn(context: RepositoryContext, pack: IndexedPack, bytes: Uint8Array): Promise<Set<number>> {
  const { header, key, epoch } = sourceOf(context, pack, bytes);
  const good = new Set<number>();
  for (const [position, { name, type, offset, length }] of pack.entries.entries()) {
    if (offset + length > bytes.length) continue;
    const part = Uint8Array.from(bytes.subarray(offset, offset + length));
    const chunks = [{ start: 0, length, position, name: Uint8Array.from(name), type }];
    const { chunks: opened } = await context.pool.run({ task: "open", range: part, chunks, header, key, epoch });
    if (typeof opened[0] !== "string") good.add(position);
  }
  return good;
}

/**
 * Saves what can be saved of damaged packs that no replica has: chunks that open are stored in new packs, the index names
 * those instead, and the damaged objects go to quarantine. The order is that of a writer and then of a collector: packs,
 * index, un-index, and only then is something taken away. Whoever calls it has the exclusive claim.
 */
export async function salvagePacks(
  context: RepositoryContext,
  packIds: readonly string[],
  options: Options,
): Promise<Salvaged[]> {
  const listed = await listedAs(context, new Set(packIds), options.signal);
  const results: Salvaged[] = [];
  // One after the other: each is in memory whole.
  for (const [packId, pack] of listed) {
    const object = packName(packId);
    const bytes = await bytesOf(context, object, options.signal);
    const broken: Broken = { pack, bytes, good: bytes === undefined ? new Set() : await goodIn(context, pack, bytes) };
    await options.before();
    if (bytes !== undefined && broken.good.size > 0)
      await copyChunks(
        context,
        [packId],
        (_, position) => broken.good.has(position),
        options.signal,
        options.before,
        async () => sourceOf(context, pack, bytes),
      );
    await unlistPacks(context, new Set([packId]), options);
    const bad = pack.entries.filter((_, position) => !broken.good.has(position));
    const lost = bad.filter(({ name }) => context.index.locate(name) === undefined).length;
    const retained = bytes === undefined ? undefined : await moveToQuarantine(context, object, bytes, options);
    results.push({ packId, saved: broken.good.size, elsewhere: bad.length - lost, lost, retained });
  }
  return results;
}
