import { StillpointError } from "@stillpoint/contracts/errors";
import { isInForce, readHolds } from "../changes/holds.ts";
import { isNewer } from "../changes/newest.ts";
import { objectName, packIdOf, packName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import { packOverhead } from "../format/pack-format.ts";
import type { RepositoryContext } from "../repository-context.ts";
import type { CondemnedState } from "./condemned-state.ts";
import type { Reached } from "./mark.ts";
import type { Roots } from "./read-roots.ts";
import { pinOfPoint } from "./roots.ts";
import type { GarbageSettings } from "./settings.ts";
import { unneededTails } from "./unneeded-tails.ts";

/** In the order in which they are deleted: what refers to something goes before it. */
export const DELETED_IN_ORDER = ["points", "proofs", "holds", "backups", "tails", "packs", "index", "changes"] as const;
export type GarbageKind = (typeof DELETED_IN_ORDER)[number];

/** An object that no root reaches. */
export type Unreached = { object: string; kind: GarbageKind; size: number; storedMs: number };
/** A pack that is reached, in part only. */
export type PartialPack = { packId: string; size: number; storedMs: number; liveBytes: number };
export type Scan = {
  unreached: Unreached[];
  /** Unreached packs beyond those that one run condemns: only counted. */
  later: { objects: number; bytes: number };
  /** With at least the part of waste that the settings say; of more than one run writes anew, the first. */
  partial: PartialPack[];
  partialPacks: number;
  /** Bytes in reached packs that nothing needs, of all of them. */
  wasteBytes: number;
  /** Packs that an index lists, that nothing needs, and that are not there. */
  dangling: string[];
};

type Listed = { name: string; size: number; modifiedMs: number };

export type ScanOptions = {
  nowMs: number;
  state: CondemnedState;
  /** What was stored since is not condemned. */
  fenceMs: number;
  settings: GarbageSettings;
  /** Backups that are kept and cannot be read: nothing is let go for their sake. */
  broken: readonly string[];
  signal?: AbortSignal | undefined;
};

/** Looks at every object once, after the walk. Holds what is not reached in memory, as far as one run goes. */
export async function scan(
  context: RepositoryContext,
  reach: Reached,
  roots: Roots,
  { nowMs, state, fenceMs, settings, broken, signal }: ScanOptions,
): Promise<Scan> {
  const later = { objects: 0, bytes: 0 };
  const result: Scan = { unreached: [], later, partial: [], partialPacks: 0, wasteBytes: 0, dangling: [] };
  const list = (folder: string): AsyncIterable<Listed> => context.store.list(folder, { signal });
  const idIn = (folder: string, { name }: Listed) => name.slice(folder.length);
  const add = (kind: GarbageKind, { name, size, modifiedMs }: Listed) =>
    result.unreached.push({ object: name, kind, size, storedMs: modifiedMs });

  const pointIds = new Set<string>();
  const keptPoints = new Set<string>();
  for (const point of roots.points) {
    pointIds.add(point.pointId);
    if (pinOfPoint(point, nowMs, settings) !== undefined) keptPoints.add(point.pointId);
  }
  const keptBackups = new Set(roots.roots.map(({ backupId }) => backupId));

  // A point that came after the roots were read is none of those that were looked at.
  const isGone = (pointId: string) => pointIds.has(pointId) && !keptPoints.has(pointId);
  for await (const each of list("points/")) if (isGone(idIn("points/", each))) add("points", each);
  const pointOf = (folder: string, each: Listed) => idIn(folder, each).split("/", 1)[0] ?? "";
  for await (const each of list("proofs/")) if (!keptPoints.has(pointOf("proofs/", each))) add("proofs", each);

  const inForce = new Set<string>();
  for (const [pointId, holds] of await readHolds(context, { signal }))
    for (const hold of holds)
      if (isInForce(hold, roots.newest, nowMs)) inForce.add(objectName("holds", OBJECT_IDS.hold(pointId, hold.holdId)));
  for await (const each of list("holds/")) if (!inForce.has(each.name)) add("holds", each);
  for await (const each of list("backups/")) if (!keptBackups.has(idIn("backups/", each))) add("backups", each);
  for await (const each of unneededTails(context, roots.log, broken, signal)) add("tails", each);

  const held = { old: 0, young: 0 };
  const addPack = (each: Listed) => {
    const age = each.modifiedMs < fenceMs ? "old" : "young";
    // What is condemned already is held whatever the number: it is to be swept.
    if (state.objects.has(each.name) || held[age]++ < settings.mostPacks) add("packs", each);
    else {
      later.objects++;
      later.bytes += each.size;
    }
  };
  let listedPacks = 0;
  let reachedPacks = 0;
  for await (const each of list("packs/")) {
    const packId = packIdOf(each.name);
    const length = context.index.packLength(packId);
    if (length !== undefined) listedPacks++;
    if (!reach.has(packId)) addPack(each);
    else {
      reachedPacks++;
      if (length !== undefined && each.size !== length)
        throw damagedPack(each.name, `it is ${each.size} bytes long instead of ${length}`);
      const { chunks, bytes: liveBytes } = reach.live(packId);
      const all = context.index.chunksIn(packId);
      const waste = chunks === all ? 0 : Math.max(0, each.size - packOverhead(all) - liveBytes);
      result.wasteBytes += waste;
      if (waste / each.size < settings.waste) continue;
      if (result.partialPacks++ < settings.mostPacks)
        result.partial.push({ packId, size: each.size, storedMs: each.modifiedMs, liveBytes });
    }
  }
  if (reachedPacks < reach.packs) await assertNoneMissing(context, reach, signal);
  if (listedPacks < context.index.packs) result.dangling = await danglingPacks(context, reach, signal);

  const live = new Set(context.index.objects());
  for await (const each of list("index/"))
    if (!live.has(each.name) && context.index.knows(each.name)) add("index", each);

  await scanChanges(context, roots, (each) => add("changes", each), signal);
  return result;
}

/** Another pack, which looks like garbage, may hold the only sound copy of a chunk of this one. */
function damagedPack(object: string, why: string): StillpointError {
  return new StillpointError("OBJECT_DAMAGED", {
    what: "Collected no garbage",
    where: object,
    why: `something that is kept needs it, and ${why}`,
    hint: "stillpoint repo repair: what it held may lie in a pack that nothing else needs",
  });
}

async function assertNoneMissing(context: RepositoryContext, reach: Reached, signal?: AbortSignal): Promise<void> {
  const missing = new Set(reach.packIds());
  for await (const { name } of context.store.list("packs/", { signal })) missing.delete(packIdOf(name));
  // A listing may come late: asked for by itself, a pack that is there is there.
  for (const packId of missing)
    if ((await context.store.head(packName(packId), signal)) === undefined)
      throw damagedPack(packName(packId), "it is missing");
}

async function danglingPacks(context: RepositoryContext, reach: Reached, signal?: AbortSignal): Promise<string[]> {
  const missing = new Set(context.index.packIds());
  for await (const { name } of context.store.list("packs/", { signal })) missing.delete(packIdOf(name));
  const dangling: string[] = [];
  // A listing may come late, and a writer may have been at work meanwhile: asked for by itself, a pack that is there is there.
  for (const packId of missing)
    if (!reach.has(packId) && (await context.store.head(packName(packId), signal)) === undefined) dangling.push(packId);
  return dangling;
}

/** Changes that another of the same question has overtaken, and those about what is gone; never the newest of all. */
async function scanChanges(
  context: RepositoryContext,
  roots: Roots,
  add: (each: Listed) => void,
  signal?: AbortSignal,
): Promise<void> {
  const all = await context.changes.all(signal);
  const last = all.reduce(
    (newest, each) => (isNewer(each, newest) ? each : newest),
    all[0] ?? { sequence: 0, changeId: "" },
  );
  const counts = new Set([...roots.newest.all()].map(({ changeId }) => changeId));
  const there = new Set(roots.points.map(({ pointId }) => objectName("points", pointId)));
  for await (const { name } of context.store.list("holds/", { signal })) there.add(name);
  const outdated = new Set<string>();
  for (const each of all) {
    const aboutGone = /^(points|holds)\//.test(each.object) && !there.has(each.object);
    if (each.changeId !== last.changeId && (!counts.has(each.changeId) || aboutGone))
      outdated.add(objectName("changes", OBJECT_IDS.change(each.sequence, each.changeId)));
  }
  if (outdated.size === 0) return;
  for await (const each of context.store.list("changes/", { signal })) if (outdated.has(each.name)) add(each);
}
