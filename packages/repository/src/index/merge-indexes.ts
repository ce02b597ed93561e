import { INDEX_PACK_HEAD, type IndexedPack } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import { ENTRY_LENGTH } from "../format/pack-format.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { readIndex, writeIndex } from "./index-objects.ts";

/** Plain bytes at which a merged object is closed, about 200 000 chunks: who reads it holds it in memory. */
const MERGED_BYTES = 8 * 1024 * 1024;

export type MergeOptions = {
  /** Called before each write: whoever has the repository to itself makes sure that it still has. */
  before: () => Promise<void>;
  /** So many small ones are worth it. */
  mergeFrom: number;
  mergedBytes?: number;
  signal?: AbortSignal | undefined;
};

const idOf = (name: string) => name.slice(objectName("index", "").length);

/**
 * Writes what many small index objects list into few large ones, which replace them. Only for who has the repository to
 * itself, as the collector has: what it reads must not be swept before it is written. Deletes nothing: what is replaced is
 * unreached, and goes as everything does. Broken off anywhere, each object counts that is there.
 */
export async function mergeIndexes(
  context: RepositoryContext,
  { before, signal, mergeFrom, mergedBytes = MERGED_BYTES }: MergeOptions,
): Promise<{ replaced: number; written: number }> {
  const { store, ring, index, random } = context;
  const live = new Set(index.objects());
  const there = new Set<string>();
  const small: string[] = [];
  for await (const { name, size } of store.list(objectName("index", ""), { signal })) {
    there.add(name);
    if (live.has(name) && size < mergedBytes / 2) small.push(name);
  }
  const result = { replaced: 0, written: 0 };
  if (small.length < mergeFrom) return result;

  let group = { names: [] as string[], supersedes: new Set<string>(), packs: new Map<string, IndexedPack>(), bytes: 0 };
  async function flush(): Promise<void> {
    const { names, supersedes, packs } = group;
    group = { names: [], supersedes: new Set(), packs: new Map(), bytes: 0 };
    if (names.length < 2) return;
    const content = { supersedes: [...supersedes].map(idOf), packs: [...packs.values()] };
    await before();
    index.add(await writeIndex(store, content, ring.epochs, random, signal), content);
    result.replaced += names.length;
    result.written++;
  }

  for (const name of small) {
    const { supersedes, packs } = await readIndex(store, name, ring.epochs, signal);
    group.names.push(name);
    // What they replaced stays replaced, as long as it is there to be read.
    for (const each of [name, ...supersedes.map((id) => objectName("index", id))])
      if (there.has(each)) group.supersedes.add(each);
    for (const pack of packs) {
      group.packs.set(pack.packId, pack);
      group.bytes += INDEX_PACK_HEAD + pack.entries.length * ENTRY_LENGTH;
    }
    if (group.bytes >= mergedBytes) await flush();
  }
  await flush();
  return result;
}
