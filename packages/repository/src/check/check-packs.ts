import { packIdOf, packName } from "../format/kinds.ts";
import { packSet } from "../replicas/pack-set.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { CheckProgress, CheckReport, Findings } from "./report.ts";

type Options = { signal?: AbortSignal | undefined; tell: (progress: CheckProgress) => void };

/** Compares the packs that are there with those that indexes list, and their lengths. Answers with what looks wrong. */
export async function comparePacks(
  { store, index }: RepositoryContext,
  report: Pick<CheckReport, "packs" | "unlistedPacks">,
  { signal, tell }: Options,
): Promise<string[]> {
  const there = packSet();
  const suspects: string[] = [];
  for await (const { name, size } of store.list("packs/", { signal })) {
    const packId = packIdOf(name);
    there.append(packId);
    const listed = index.packLength(packId);
    if (listed === undefined) report.unlistedPacks++;
    else if (listed !== size) suspects.push(packId);
    tell({ step: "packs", done: ++report.packs, total: index.packs, bytes: 0 });
  }
  for (const packId of index.packIds()) if (!there.has(packId)) suspects.push(packId);
  return suspects;
}

/**
 * Blames those of the packs that are missing or have another length still, once what was deleted meanwhile is known:
 * indexes go before packs, so one that is listed now and was not to be deleted must be there.
 */
export async function judgePacks(
  { store, index, loader, condemned }: RepositoryContext,
  found: Findings,
  packIds: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (packIds.length === 0) return;
  const going = (await condemned.load(signal)).objects;
  await loader.load(signal);
  for (const packId of packIds) {
    const object = packName(packId);
    const listed = index.packLength(packId);
    if (listed === undefined || going.has(object)) continue;
    const info = await store.head(object, signal);
    if (info === undefined) found.blame({ object, why: "the object is missing" });
    else if (info.size !== listed) found.blame({ object, why: `it is ${info.size} bytes long instead of ${listed}` });
  }
}
