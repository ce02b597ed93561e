import { setImmediate as nextTurn } from "node:timers/promises";
import type { IndexedPack } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import { readIndex, writeIndex } from "../index/index-objects.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** Entries in one index object that is written here. */
const MOST_CHUNKS = 500_000;
const FORGOTTEN_AT_ONCE = 1_000;

/**
 * Takes packs out of the index before they are deleted: every index object that lists one of them is replaced by another that
 * does not. Answers with the names of those that were replaced. They are there still, so that no chunk is ever without a place
 * and no target is asked to delete what no list names: they are garbage, and are to be condemned as such.
 */
export async function unlistPacks(
  context: RepositoryContext,
  gone: ReadonlySet<string>,
  options: { before: () => Promise<void>; signal?: AbortSignal | undefined },
): Promise<string[]> {
  const { store, ring, index, random } = context;
  const affected = new Set([...gone].flatMap((packId) => index.objectsOf(packId)));
  let replaced: string[] = [];
  let packs: IndexedPack[] = [];
  let chunks = 0;

  async function flush(): Promise<void> {
    if (replaced.length === 0) return;
    await options.before();
    const idOf = (name: string) => name.slice(objectName("index", "").length);
    const content = { supersedes: replaced.map(idOf), packs };
    index.add(await writeIndex(store, content, ring.epochs, random, options.signal), content);
    [replaced, packs, chunks] = [[], [], 0];
  }

  for (const name of affected) {
    const content = await readIndex(store, name, ring.epochs, options.signal);
    const kept = content.packs.filter(({ packId }) => !gone.has(packId));
    replaced.push(name, ...content.supersedes.map((id) => objectName("index", id)));
    packs.push(...kept);
    chunks += kept.reduce((sum, { entries }) => sum + entries.length, 0);
    if (chunks >= MOST_CHUNKS) await flush();
  }
  await flush();
  const all = [...gone];
  for (let at = 0; at < all.length; at += FORGOTTEN_AT_ONCE) {
    index.forget(all.slice(at, at + FORGOTTEN_AT_ONCE));
    await nextTurn(); // others of this thread have their turn
  }
  return [...affected];
}
