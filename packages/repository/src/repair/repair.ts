import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { packIdOf } from "../format/kinds.ts";
import { claimExclusive } from "../garbage/claim.ts";
import { adoptPacks } from "../index/adopt-packs.ts";
import { kindOf } from "../replicas/kinds-replicated.ts";
import { repairObject } from "../replicas/repair-object.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { moveToQuarantine } from "./quarantine.ts";
import type { RepairPlan } from "./repair-plan.ts";
import { salvagePacks } from "./salvage-packs.ts";

export type RepairOptions = {
  /** In the order in which they are asked for a whole copy. */
  replicas?: readonly ObjectStore[];
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
};
export type RepairResult = {
  object: string;
  /**
   * `sound`: nothing was wrong any more, or nothing needs it. `repaired`: it is there as it was. `replaced`: other objects
   * hold all that it held. `lost`: something of it nobody has. `retained`: the storage lets nobody replace it.
   */
  outcome: "sound" | "repaired" | "replaced" | "lost" | "retained";
  detail: string;
  /** What a loss hurts. */
  points: string[];
};
export type RepairReport = { results: RepairResult[] /** Packs that indexes list again. */; adoptedPacks: number };

function wrongStore(why: string, where: string): StillpointError {
  return new StillpointError("CONFLICT", { what: "Did not apply the repair plan", where, why });
}

/**
 * Does what a plan says, looking at each object again before: what is sound is left alone, so that applying a plan twice is
 * applying it once. New objects are written; what is damaged is moved to quarantine, never overwritten unsaved. Collects
 * nothing and lets nobody else collect meanwhile. Check afterwards shows what is left.
 */
export async function repairRepository(
  context: RepositoryContext,
  plan: RepairPlan,
  { replicas = [], onProgress, signal = new AbortController().signal }: RepairOptions = {},
): Promise<RepairReport> {
  const { store, ring, index, loader } = context;
  if (plan.repositoryId !== ring.repositoryId) throw wrongStore("it is of another repository", plan.repositoryId);
  if (plan.url !== store.url) throw wrongStore(`it is of ${plan.url}, and this is ${store.url}`, store.url);
  await using claim = await claimExclusive(context, "Repaired nothing", signal);
  const options = { before: () => claim.hold(), signal };
  await loader.load(signal);
  const results: RepairResult[] = [];
  const packs: { packId: string; object: string; points: string[] }[] = [];
  let isIndexTouched = plan.unlistedPacks > 0;

  for (const { object, points } of plan.objects) {
    onProgress?.(results.length + packs.length, plan.objects.length);
    await claim.hold();
    const kind = kindOf(object);
    const { outcome, from, why = "" } = await repairObject(context, store, replicas, object, signal);
    if (outcome === "sound") results.push({ object, outcome, detail: why || "it is as it must be", points: [] });
    else if (outcome === "repaired") results.push({ object, outcome, detail: `${why}; from ${from}`, points: [] });
    else if (outcome === "retained") results.push({ object, outcome, detail: why, points });
    else if (kind === "packs" && index.packLength(packIdOf(object)) !== undefined)
      packs.push({ packId: packIdOf(object), object, points });
    else if (kind === "packs")
      results.push({ object, outcome: "sound", detail: "no index lists it any more", points: [] });
    else if (kind === "index") {
      isIndexTouched = true;
      results.push(await dropIndex(context, object, why, options));
    } else results.push({ object, outcome: "lost", detail: `${why}, and no replica has it whole`, points });
  }

  const before = index.packs;
  if (isIndexTouched) {
    await loader.load(signal);
    await adoptPacks(context, signal, "all");
  }
  const adoptedPacks = index.packs - before;
  const salvaged = await salvagePacks(
    context,
    packs.map(({ packId }) => packId),
    options,
  );
  for (const { packId, saved, elsewhere, lost, retained } of salvaged) {
    const { object = "", points = [] } = packs.find((each) => each.packId === packId) ?? {};
    const detail = [
      `${saved} chunks stored anew`,
      ...(elsewhere > 0 ? [`${elsewhere} held by other packs`] : []),
      ...(lost > 0 ? [`${lost} LOST: a new backup of the same data stores them again`] : []),
      ...(retained === undefined ? [] : [`the damaged object stays: ${retained}`]),
    ].join(", ");
    results.push({ object, outcome: lost > 0 ? "lost" : "replaced", detail, points: lost > 0 ? points : [] });
  }
  onProgress?.(plan.objects.length, plan.objects.length);
  return { results, adoptedPacks };
}

/** An index holds nothing that packs do not say themselves. */
async function dropIndex(
  context: RepositoryContext,
  object: string,
  why: string,
  options: { before: () => Promise<void>; signal: AbortSignal },
): Promise<RepairResult> {
  const detail = `${why}; its packs are listed anew from their own lists`;
  const bytes = await context.store.get(object, undefined, options.signal).catch((error: unknown) => {
    if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
    throw error;
  });
  if (bytes === undefined) return { object, outcome: "sound", detail: "it is gone, and nothing needs it", points: [] };
  const retained = await moveToQuarantine(context, object, bytes, options);
  if (retained !== undefined) return { object, outcome: "retained", detail: retained, points: [] };
  return { object, outcome: "replaced", detail, points: [] };
}
