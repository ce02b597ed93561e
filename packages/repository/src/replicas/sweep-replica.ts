import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { getDocument } from "../documents-store.ts";
import { change, sealedPoint } from "../format/documents.ts";
import { epochName, objectName, packIdOf } from "../format/kinds.ts";
import { deleteObject } from "../garbage/delete-objects.ts";
import type { ChunkIndex } from "../index/chunk-index.ts";
import { readIndex } from "../index/index-objects.ts";
import { openChunkIndex } from "../index/open-chunk-index.ts";
import { retiredSlots } from "../keys/retired-slots.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { inParallel } from "./in-parallel.ts";
import { kindOf, type ReplicatedKind } from "./kinds-replicated.ts";
import { packsOfBackup } from "./needs.ts";
import { withCopies } from "./other-copies.ts";
import { type LackingObject, surveyReplica } from "./survey.ts";
import { copyMarks, readMarks } from "./sweep-marks.ts";

export type SweepOptions = {
  /** So long after a list came to the target what it names is deleted there, by the target's clock. */
  graceMs: number;
  dryRun?: boolean;
  signal?: AbortSignal | undefined;
};
export type SweepReport = {
  deleted: { objects: number; bytes: number };
  /** Refused by a lock or a policy of the target: they are still there. */
  retained: string[];
  /** Condemned, and not due: the primary has them still, the grace is not over, or something that is kept needs them. */
  waiting: number;
  /** Only the target has these, and no list explains them. They are never deleted here. */
  unexplained: string[];
  /** Why nothing was looked at. */
  postponed?: string;
};

const BEHIND = "the target is behind";
const ASKS_AT_ONCE = 16;
/** What takes the place of something that goes must be there before it goes: of index objects, and of what opens the target. */
const TAKES_PLACE: ReadonlySet<ReplicatedKind> = new Set<ReplicatedKind>(["index", "keys", "epochs"]);
const idOf = (name: string) => name.slice(name.indexOf("/") + 1);

/**
 * Deletes on a target what the primary condemned and has deleted itself: never ahead of it, after the grace by the target's
 * own clock, and in an order in which the target is a sound repository after each deletion. What a lock keeps there keeps
 * what it needs.
 */
export async function sweepReplica(
  context: RepositoryContext,
  target: ObjectStore,
  { graceMs, dryRun = false, signal }: SweepOptions,
): Promise<SweepReport> {
  const report: SweepReport = { deleted: { objects: 0, bytes: 0 }, retained: [], waiting: 0, unexplained: [] };
  // A list that is sealed under a key epoch which the target does not have would be no object of it.
  if ((await target.head(epochName(context.ring.epochs.current), signal)) === undefined)
    return { ...report, postponed: BEHIND };
  const primary = await copyMarks(context, target, signal);
  const marks = await readMarks(context, target, primary.generations, signal);
  const nowMs = await target.now(signal);
  const survey = await surveyReplica(context.store, target, { signal });
  await context.loader.load(signal);
  const newest = await context.changes.newest(signal);

  const retired = retiredSlots(newest);
  const isExplained = (name: string) => marks.objects.has(name) || retired.has(name);
  report.unexplained = survey.strays.map(({ name }) => name).filter((name) => !isExplained(name));
  const isBehind = survey.lacking.some(({ kind }) => TAKES_PLACE.has(kind));
  if (isBehind || context.loader.damaged.size > 0) {
    const postponed = isBehind ? BEHIND : "the primary has a damaged index object";
    return { ...report, waiting: marks.objects.size, postponed };
  }

  const isDue = ({ name, kind }: LackingObject) => {
    // At once: nobody undeletes a key slot, and while it is there its old secret opens the copy.
    if (retired.has(name)) return true;
    const mark = marks.objects.get(name);
    if (mark === undefined || marks.void.has(mark.name) || mark.storedMs + graceMs > nowMs) return false;
    // Undeleted since, and lost by the primary: it is what the primary is repaired from.
    if (kind === "points") return newest.of("existence", name)?.change !== "undelete";
    return kind !== "packs" || context.index.packLength(packIdOf(name)) === undefined;
  };
  /** What the target has and the primary has not, by kind; of them what may go, and what stays. */
  const strays = (kind: ReplicatedKind) => survey.strays.filter((each) => each.kind === kind);
  const stays = new Map<ReplicatedKind, LackingObject[]>();
  async function deleteAll(kind: ReplicatedKind, isKept: (name: string) => boolean = () => false): Promise<void> {
    const left: LackingObject[] = [];
    await inParallel(strays(kind), ASKS_AT_ONCE, async (object) => {
      const goes =
        isDue(object) && !isKept(object.name) && (await context.store.head(object.name, signal)) === undefined;
      if (goes && (await deleteOne(object))) return;
      left.push(object);
    });
    stays.set(kind, left);
    report.waiting += left.filter(({ name }) => marks.objects.has(name)).length;
  }
  async function deleteOne({ name, size }: LackingObject): Promise<boolean> {
    if (!dryRun && (await deleteObject(target, name, signal)) !== undefined) {
      report.retained.push(name);
      return false;
    }
    report.deleted.objects++;
    report.deleted.bytes += size;
    return true;
  }

  const isThere = async (object: string) =>
    kindOf(object) !== undefined && !object.endsWith("/") && (await target.head(object, signal)) !== undefined;
  await using closing = new AsyncDisposableStack();
  // What only the target still lists, beside what the primary does: by both a tree that stays can be followed.
  const spare = closing.use(openChunkIndex(context.ring.repositoryId));
  const listed = new Map<string, string[]>();
  for (const { name } of strays("index")) {
    const content = await readIndex(target, name, context.ring.epochs, signal);
    spare.add(name, content);
    const packIds = content.packs.map(({ packId }) => packId);
    listed.set(name, packIds);
  }
  const locate: ChunkIndex["locate"] = (name) => context.index.locate(name) ?? spare.locate(name);
  const there: RepositoryContext = {
    ...context,
    store: withCopies(context.store, [target], () => undefined),
    index: Object.assign(Object.create(context.index), { locate }),
  };
  for (const kind of ["proofs", "holds", "records", "tails", "points"] as const) await deleteAll(kind);
  const neededBackups = new Set<string>();
  for (const { name } of stays.get("points") ?? []) {
    const found = await getDocument({ ...context, store: target }, "points", idOf(name), sealedPoint, signal);
    for (const { backupId } of found?.document.manifests ?? []) neededBackups.add(objectName("backups", backupId));
  }
  await deleteAll("backups", (name) => neededBackups.has(name));
  const candidates = new Set(
    strays("packs")
      .filter(isDue)
      .map(({ name }) => packIdOf(name)),
  );
  const neededPacks = new Set<string>();
  if (candidates.size > 0)
    for (const { name } of stays.get("backups") ?? [])
      for (const packId of await packsOfBackup(there, idOf(name), candidates, signal)) neededPacks.add(packId);
  await deleteAll("index", (name) => (listed.get(name) ?? []).some((packId) => neededPacks.has(packId)));
  for (const { name } of stays.get("index") ?? []) for (const packId of listed.get(name) ?? []) neededPacks.add(packId);
  await deleteAll("packs", (name) => neededPacks.has(packIdOf(name)));
  for (const kind of ["keys", "epochs"] as const) await deleteAll(kind);
  // Last, and only where what it is about is gone: a point that a lock keeps would else be there again.
  const spoken = new Set<string>();
  for (const each of strays("changes").filter(isDue)) {
    const found = await getDocument({ ...context, store: target }, "changes", idOf(each.name), change, signal);
    if (found !== undefined && (await isThere(found.document.object))) spoken.add(each.name);
  }
  await deleteAll("changes", (name) => spoken.has(name));

  // A list goes when the primary's is gone and nothing of it is left; never the newest, whose number must be known.
  const left = new Set([...stays.values()].flat().map(({ name }) => marks.objects.get(name)?.name));
  const atPrimary = new Set(primary.generations.map(({ name }) => name));
  for (const { name, document } of marks.generations) {
    const isOver = !atPrimary.has(name) && !left.has(name) && document.generation !== marks.newest;
    if (isOver && !dryRun) await target.delete(name, signal);
  }
  return report;
}
