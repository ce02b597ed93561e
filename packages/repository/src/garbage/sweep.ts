import { packIdOf, packName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { copyChunks } from "../write/copy-chunks.ts";
import { deleteObjects, type Retained } from "./delete-objects.ts";
import { DELETED_IN_ORDER, type GarbageKind, type Unreached } from "./scan.ts";
import type { Survey } from "./survey.ts";
import { unlistPacks } from "./unlist-packs.ts";

export type Swept = {
  deleted: Set<string>;
  freed: { objects: number; bytes: number };
  retained: Retained[];
  /** Index objects that others took the place of. */
  replaced: string[];
};
export type SweepOptions = { before: () => Promise<void>; signal: AbortSignal };

const PACKS = "packs/";

/**
 * Reached packs in a sweep that another collector began: it may be asleep with the deletion of one of them in its hands. What
 * is needed of them is stored anew, and they go all the same.
 */
async function copyOut(context: RepositoryContext, survey: Survey, begun: ReadonlySet<string>, options: SweepOptions) {
  const packs: string[] = [];
  for (const [object, { name }] of survey.state.objects)
    if (object.startsWith(PACKS) && begun.has(name) && survey.reach.has(packIdOf(object))) packs.push(packIdOf(object));
  if (packs.length > 0) await copyChunks(context, packs, survey.reach.uses, options.signal);
  return packs;
}

/**
 * Deletes what is condemned in the generations of these names and is not reached; kind by kind, so that what refers to
 * something goes before it, and packs only after no index lists them. Broken off anywhere and done again it comes to the same.
 */
export async function sweep(
  context: RepositoryContext,
  survey: Survey,
  names: ReadonlySet<string>,
  /** Those of them that another collector had begun on. */
  begun: ReadonlySet<string>,
  options: SweepOptions,
): Promise<Swept> {
  const swept: Swept = { deleted: new Set(), freed: { objects: 0, bytes: 0 }, retained: [], replaced: [] };
  const byKind: Record<GarbageKind, Unreached[]> = {
    points: [],
    proofs: [],
    holds: [],
    backups: [],
    tails: [],
    packs: [],
    index: [],
    changes: [],
  };
  for (const each of survey.scan.unreached) {
    const by = survey.state.objects.get(each.object);
    // What was stored after it was condemned is another of the same name.
    if (by !== undefined && names.has(by.name) && each.storedMs < by.storedMs) byKind[each.kind].push(each);
  }
  const copied = await copyOut(context, survey, begun, options);
  const take = (done: { deleted: string[]; retained: Retained[] }, sizes: ReadonlyMap<string, number>) => {
    for (const object of done.deleted) {
      swept.deleted.add(object);
      swept.freed.objects++;
      swept.freed.bytes += sizes.get(object) ?? 0;
    }
    swept.retained.push(...done.retained);
  };
  for (const kind of DELETED_IN_ORDER) {
    const objects = byKind[kind];
    const sizes = new Map(objects.map(({ object, size }) => [object, size]));
    if (kind === "packs") {
      for (const packId of copied) sizes.set(packName(packId), context.index.packLength(packId) ?? 0);
      const gone = new Set([...[...sizes.keys()].map(packIdOf), ...survey.scan.dangling]);
      if (gone.size > 0) swept.replaced = await unlistPacks(context, gone, options);
    }
    if (sizes.size > 0) take(await deleteObjects(context.store, [...sizes.keys()], options), sizes);
  }
  return swept;
}
