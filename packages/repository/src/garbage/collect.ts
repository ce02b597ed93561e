import { packName } from "../format/kinds.ts";
import { mergeIndexes } from "../index/merge-indexes.ts";
import { stoppable } from "../leases/confirm-backup.ts";
import { dropLease, liveLeases, readLeases } from "../leases/lease-log.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { copyChunks } from "../write/copy-chunks.ts";
import { type Claim, claimExclusive } from "./claim.ts";
import type { Retained } from "./delete-objects.ts";
import { dueGenerations, finishedGenerations, sweptUpTo } from "./due.ts";
import { type GarbagePlan, planOf } from "./plan.ts";
import { GARBAGE_SETTINGS, type GarbageSettings } from "./settings.ts";
import { type Survey, type SurveyProgress, survey } from "./survey.ts";
import { type Swept, sweep } from "./sweep.ts";

export type CollectOptions = {
  settings?: Partial<GarbageSettings> | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: SurveyProgress) => void) | undefined;
};

export type GarbageReport = {
  /** What was deleted in this run. */
  freed: { objects: number; bytes: number };
  /** What was condemned in this run, and goes when the grace has passed. */
  condemned: { objects: number; bytes: number };
  /** Packs whose needed chunks were stored anew, and what that took. */
  rewritten: { packs: number; bytes: number };
  /** Index objects that others replace now; they are condemned by the next run. */
  merged: { replaced: number; written: number };
  /** What the storage did not let go. */
  retained: Retained[];
  /** Holders of leases that a sweep waits for. */
  waitsFor: string[];
  /** What is left, as `planGarbage` would say. */
  plan: GarbagePlan;
};

/** Objects in one generation: its object stays small enough to be read in one go. */
const MOST_OBJECTS = 100_000;

function settingsOf(options: CollectOptions): GarbageSettings {
  return { ...GARBAGE_SETTINGS, ...options.settings };
}

/** Looks, and changes nothing: what a run would free now, what goes on which date, and what pins the rest. */
export async function planGarbage(context: RepositoryContext, options: CollectOptions = {}): Promise<GarbagePlan> {
  const settings = settingsOf(options);
  return planOf(await survey(context, settings, options), settings);
}

/**
 * One run of the collector: sweeps what was condemned long enough ago, writes packs anew that are mostly waste, condemns
 * what no root reaches now, and merges index objects where there are many.
 *
 * Guaranteed, whoever else is at work, and wherever this breaks off: nothing is deleted that a point, a hold, a backup that may
 * still be sealed, a kept log or a live lease needs. Order of a sweep: it is announced (a further generation), the leases are
 * read (every live one names that generation or a later one; else the announcement is withdrawn), the roots are walked, it is
 * deleted. ALREADY_RUNNING where another collector is at work; LEASE_LOST where this one was asleep for too long.
 */
export async function collectGarbage(context: RepositoryContext, options: CollectOptions = {}): Promise<GarbageReport> {
  const settings = settingsOf(options);
  const { signal } = stoppable(options.signal);
  await using claim = await claimExclusive(context, "Collected no garbage", signal);
  const { found, names, begun } = await announce(context, settings, claim, { ...options, signal });
  const before = () => claim.hold();
  const swept = await sweep(context, found, names, begun, { before, signal });
  const rewritten = await rewrite(context, found, settings, claim, signal);
  const condemned = await condemn(context, found, swept, rewritten.packs, claim, signal);
  await finish(context, found, names, swept, claim, signal);
  const merged = await mergeIndexes(context, { before, signal, mergeFrom: settings.mergeFrom });
  for (const name of found.roots.deadLeases) await dropLease(context, name.slice("leases/".length));
  const floor = sweptUpTo(found.roots.leases);
  const late = dueGenerations(found.state, found.nowMs, settings.graceMs).some(
    ({ document }) => document.generation > floor,
  );
  return {
    freed: swept.freed,
    condemned,
    rewritten: { packs: rewritten.packs.length, bytes: rewritten.bytes },
    merged,
    retained: swept.retained,
    waitsFor: late ? found.roots.leases.map(({ holder }) => holder) : [],
    plan: planOf(found, settings, swept.deleted),
  };
}

/** Says what will be swept, before leases and roots are read: who takes a lease from now on sees it. */
async function announce(context: RepositoryContext, settings: GarbageSettings, claim: Claim, options: CollectOptions) {
  const { signal } = options;
  const nowMs = await context.store.now(signal);
  const state = await context.condemned.load(signal);
  const due = dueGenerations(state, nowMs, settings.graceMs);
  const begun = new Set(due.filter(({ name }) => state.doomed.has(name)).map(({ name }) => name));
  const early = sweptUpTo(liveLeases(await readLeases(context, signal), nowMs).filter(isHolder));
  const fresh = due.filter(({ name, document }) => !begun.has(name) && document.generation <= early);
  await claim.hold();
  const announced =
    fresh.length === 0
      ? undefined
      : await context.condemned.append(state, { sweeps: fresh.map(({ name }) => name) }, signal);
  const found = await survey(context, settings, options);
  const floor = sweptUpTo(found.roots.leases);
  await claim.hold();
  const isBlocked = fresh.some(({ document }) => document.generation > floor);
  if (isBlocked && announced !== undefined)
    await context.condemned.append(await context.condemned.load(signal), { withdraws: announced }, signal);
  const swept = [...(isBlocked ? [] : fresh), ...due.filter(({ name }) => begun.has(name))];
  const names = new Set(swept.filter(({ document }) => document.generation <= floor).map(({ name }) => name));
  return { found, names, begun };
}

const isHolder = ({ role }: { role: string }) => role !== "collector";

/** Stores the needed chunks of packs that are mostly waste anew; they are condemned in the same run. */
async function rewrite(
  context: RepositoryContext,
  { scan, state, reach, fenceMs }: Survey,
  { rewriteBytes }: GarbageSettings,
  claim: Claim,
  signal: AbortSignal,
): Promise<{ packs: string[]; bytes: number }> {
  const packs: string[] = [];
  let left = rewriteBytes;
  for (const { packId, storedMs, liveBytes } of scan.partial) {
    if (state.objects.has(packName(packId)) || storedMs >= fenceMs || liveBytes > left) continue;
    left -= liveBytes;
    packs.push(packId);
  }
  if (packs.length === 0) return { packs, bytes: 0 };
  await claim.hold();
  const { bytes } = await copyChunks(context, packs, reach.uses, signal, () => claim.hold());
  return { packs, bytes };
}

async function condemn(
  context: RepositoryContext,
  { scan, state, fenceMs }: Survey,
  swept: Swept,
  rewritten: readonly string[],
  claim: Claim,
  signal: AbortSignal,
): Promise<{ objects: number; bytes: number }> {
  const isCondemned = (object: string) => {
    const by = state.objects.get(object);
    return by !== undefined && !state.void.has(by.name);
  };
  const fresh = scan.unreached.filter(
    ({ object, storedMs }) => storedMs < fenceMs && !isCondemned(object) && !swept.deleted.has(object),
  );
  const sizes = new Map(scan.partial.map(({ packId, size }) => [packId, size]));
  const objects = [...new Set([...fresh.map(({ object }) => object), ...rewritten.map(packName), ...swept.replaced])];
  for (let at = 0; at < objects.length; at += MOST_OBJECTS) {
    await claim.hold();
    const now = await context.condemned.load(signal);
    await context.condemned.append(now, { objects: objects.slice(at, at + MOST_OBJECTS) }, signal);
  }
  if (objects.length > 0) await context.condemned.load(signal);
  const bytes =
    fresh.reduce((sum, { size }) => sum + size, 0) +
    rewritten.reduce((sum, packId) => sum + (sizes.get(packId) ?? 0), 0);
  return { objects: objects.length, bytes };
}

/** Takes back the lists whose work is done, oldest first. */
async function finish(
  context: RepositoryContext,
  found: Survey,
  names: ReadonlySet<string>,
  swept: Swept,
  claim: Claim,
  signal: AbortSignal,
): Promise<void> {
  const retained = new Set(swept.retained.map(({ object }) => object));
  const state = await context.condemned.load(signal);
  const finished = finishedGenerations(
    state,
    (object, by) => found.state.void.has(by.name) || (names.has(by.name) && !retained.has(object)),
  );
  for (const { name } of finished) {
    await claim.hold();
    await context.store.delete(name, signal);
  }
  if (finished.length > 0) await context.condemned.load(signal);
}
