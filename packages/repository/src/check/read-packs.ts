import { packIdOf, packName } from "../format/kinds.ts";
import { inParallel } from "../replicas/in-parallel.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { verifyTwice } from "./read-twice.ts";
import type { Findings } from "./report.ts";

/** Each is in memory whole. */
const AT_ONCE = 2;

/** Packs in the order of their ids, from behind `cursor` round to it: each once. */
export async function* packsFrom(
  { store }: Pick<RepositoryContext, "store">,
  cursor: string,
  signal?: AbortSignal,
): AsyncGenerator<{ packId: string; size: number; wrapped: boolean }> {
  const after = cursor === "" ? undefined : packName(cursor);
  for await (const { name, size } of store.list("packs/", { after, signal }))
    yield { packId: packIdOf(name), size, wrapped: false };
  if (after === undefined) return;
  for await (const { name, size } of store.list("packs/", { signal })) {
    if (name > after) return;
    yield { packId: packIdOf(name), size, wrapped: true };
  }
}

export type PackReads = {
  packs: number;
  bytes: number /** Gone when they were to be read: judged at the end. */;
  gone: string[];
};

/** Reads packs to the last byte and opens every chunk. Those that no index lists are left out: nothing leans on them. */
export async function readPacks(
  context: RepositoryContext,
  found: Findings,
  packIds: Iterable<string>,
  { signal, tell }: { signal?: AbortSignal | undefined; tell: (reads: PackReads) => void },
): Promise<PackReads> {
  const reads: PackReads = { packs: 0, bytes: 0, gone: [] };
  await inParallel(packIds, AT_ONCE, async (packId) => {
    signal?.throwIfAborted();
    if (context.index.packLength(packId) === undefined) return;
    const read = await verifyTwice(context, found, packName(packId), signal);
    if (read === "gone") reads.gone.push(packId);
    else reads.packs++;
    if (typeof read === "object") reads.bytes += read.bytes;
    tell(reads);
  });
  return reads;
}
