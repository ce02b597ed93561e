import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { isNewer } from "../changes/newest.ts";
import { packIdOf, packName } from "../format/kinds.ts";
import { readIndex } from "../index/index-objects.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { copyObject, type NotCopied } from "./copy-object.ts";
import { inParallel } from "./in-parallel.ts";
import type { ReplicatedKind } from "./kinds-replicated.ts";
import { missingBackup, missingOfLog, packsOfBackup } from "./needs.ts";
import { withCopies } from "./other-copies.ts";
import { isMeant, newestPromotion, notPrimary, promotionThere, type TargetIdentity } from "./primary.ts";
import { assertSameRepository } from "./same-repository.ts";
import { type LackingObject, type Lag, lagOf, type Survey, surveyReplica } from "./survey.ts";

export type ReplicateProgress = { objects: number; bytes: number; ofObjects: number; ofBytes: number };
export type ReplicateOptions = {
  /** Further copies that an object is read from where the primary's is damaged. */
  others?: readonly ObjectStore[];
  /** Does not list the packs: what new index objects list is asked for one by one. For following a primary closely. */
  withoutPacks?: boolean;
  /** Names of objects that are left out. */
  except?: ReadonlySet<string>;
  /** Who the source is as the primary: where the target knows of a promotion of another, nothing is copied. */
  as?: TargetIdentity | undefined;
  /** Packs under way at once: each is in memory. */
  atOnce?: number;
  onProgress?: ((progress: ReplicateProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};
export type ReplicateReport = {
  copiedObjects: number;
  copiedBytes: number;
  /** What could not be copied, or waits for such a thing. The next pass tries again. */
  notCopied: NotCopied[];
  /** What was there before the pass, and what is behind after it, as far as this pass saw. */
  before: Survey;
  lag: Lag;
};

const AT_ONCE = 3;
const ASKS_AT_ONCE = 16;

const byTime = (a: LackingObject, b: LackingObject) => a.modifiedMs - b.modifiedMs || (a.name < b.name ? -1 : 1);
const byName = (a: LackingObject, b: LackingObject) => (a.name < b.name ? -1 : 1);
const idOf = (name: string) => name.slice(name.indexOf("/") + 1);

/** What a pass still has to do, by kind. */
function sorted(survey: Survey) {
  const of = (kind: ReplicatedKind) => survey.lacking.filter((each) => each.kind === kind);
  return {
    // Tails need nothing, and points may rest on them.
    first: [
      ...of("keys"),
      ...of("epochs"),
      ...of("config"),
      ...of("changes").sort(byName),
      ...of("tails").sort(byTime),
    ],
    packs: new Map(
      of("packs")
        .sort(byTime)
        .map((each) => [packIdOf(each.name), each]),
    ),
    indexes: of("index").sort(byTime),
    backups: new Set(of("backups").sort(byTime)),
    points: new Set(of("points").sort(byTime)),
    besidePoints: new Set([...of("proofs"), ...of("holds")].sort(byTime)),
    last: of("records").sort(byTime),
  };
}

async function assertNotOvertaken(
  context: RepositoryContext,
  as: TargetIdentity,
  target: ObjectStore,
  { strays }: Survey,
  signal?: AbortSignal,
): Promise<void> {
  const ids = strays.filter(({ kind }) => kind === "changes").map(({ name }) => idOf(name));
  const there = await promotionThere(context, target, ids, signal);
  const here = there && (await newestPromotion(context.changes, signal));
  if (there === undefined || isMeant(there, as) || (here !== undefined && isNewer(here, there))) return;
  throw notPrimary(as, there);
}

/**
 * One pass over what a replica lacks, oldest first, each object after all that it needs. It may end anywhere: the target is
 * a sound repository after each object, and the next pass finds what is left by listing both sides.
 */
export async function replicate(
  context: RepositoryContext,
  target: ObjectStore,
  {
    others = [],
    withoutPacks = false,
    except = new Set(),
    as,
    atOnce = AT_ONCE,
    onProgress,
    signal,
  }: ReplicateOptions = {},
): Promise<ReplicateReport> {
  const source = withCopies(context.store, others, () => undefined);
  const from: RepositoryContext = { ...context, store: source };
  await assertSameRepository(context.store, target, signal);
  const before = await surveyReplica(context.store, target, { withoutPacks, signal });
  if (as !== undefined) await assertNotOvertaken(context, as, target, before, signal);
  before.lacking = before.lacking.filter(({ name }) => !except.has(name));
  const todo = sorted(before);
  let { objects: ofObjects, bytes: ofBytes } = lagOf(before);
  const left = new Set(before.lacking);
  const notCopied = new Map<string, string>();
  /** Those of which it is known that the target has them, beside those that it listed. */
  const copiedPacks = new Set<string>();
  let copiedObjects = 0;
  let copiedBytes = 0;

  async function copy(object: LackingObject): Promise<boolean> {
    signal?.throwIfAborted();
    const copied = await copyObject(context, source, target, object.name, signal);
    if (typeof copied !== "number") {
      notCopied.set(object.name, copied.why);
      return false;
    }
    left.delete(object);
    notCopied.delete(object.name);
    copiedObjects++;
    copiedBytes += copied;
    onProgress?.({ objects: copiedObjects, bytes: copiedBytes, ofObjects, ofBytes });
    return true;
  }
  async function copyPacks(packIds: Iterable<string>): Promise<void> {
    const wanted = [...packIds].map((packId) => todo.packs.get(packId)).filter((pack) => pack !== undefined);
    await inParallel(wanted.sort(byTime), atOnce, async (pack) => {
      const packId = packIdOf(pack.name);
      if (!(await copy(pack))) return;
      todo.packs.delete(packId);
      copiedPacks.add(packId);
    });
  }

  /** Finds out which of the packs that an index object lists the target has. */
  async function askFor(packs: readonly { packId: string; length: number }[], modifiedMs: number): Promise<void> {
    await inParallel(packs, ASKS_AT_ONCE, async ({ packId, length }) => {
      const name = packName(packId);
      if (copiedPacks.has(packId) || todo.packs.has(packId)) return;
      if ((await target.head(name, signal)) !== undefined) return void copiedPacks.add(packId);
      const pack: LackingObject = { name, size: length, modifiedMs, kind: "packs" };
      todo.packs.set(packId, pack);
      left.add(pack);
      ofObjects++;
      ofBytes += length;
    });
  }

  for (const object of todo.first) await copy(object);
  await context.loader.load(signal);

  // A pack is settled once the target has it and an index that lists it: what it holds may then be leaned on there.
  const unsettled = new Set<string>();
  const listedIn = new Map<string, string[]>();
  for (const { name, modifiedMs } of todo.indexes) {
    const content = await readIndex(source, name, context.ring.epochs, signal).catch((error: unknown) => {
      if (!(error instanceof StillpointError) || !["OBJECT_DAMAGED", "OBJECT_MISSING"].includes(error.code))
        throw error;
      notCopied.set(name, error.why ?? error.what);
    });
    if (content === undefined) continue;
    const packIds = content.packs.map(({ packId }) => packId);
    listedIn.set(name, packIds);
    for (const packId of packIds) unsettled.add(packId);
    if (withoutPacks) await askFor(content.packs, modifiedMs);
  }
  // Lost by the target: an index there lists them already.
  const lost = [...todo.packs.keys()].filter(
    (packId) => !unsettled.has(packId) && context.index.packLength(packId) !== undefined,
  );
  for (const packId of lost) unsettled.add(packId);
  await copyPacks(lost);
  for (const packId of lost) if (!todo.packs.has(packId)) unsettled.delete(packId);

  const waitsFor = new Map<string, Set<string>>();
  /** Backups up to this moment need, as far as time tells, no index that comes later. Their trees tell surely. */
  async function copyBackups(untilMs: number): Promise<void> {
    for (const backup of todo.backups) {
      if (backup.modifiedMs > untilMs) break;
      let needs = waitsFor.get(backup.name);
      if (needs === undefined && unsettled.size > 0)
        try {
          needs = await packsOfBackup(from, idOf(backup.name), unsettled, signal);
          waitsFor.set(backup.name, needs);
        } catch (error) {
          if (!(error instanceof StillpointError) || error.retry === "backoff") throw error;
          notCopied.set(backup.name, error.why ?? error.what);
          continue;
        }
      const missing = [...(needs ?? [])].find((packId) => unsettled.has(packId));
      if (missing !== undefined) notCopied.set(backup.name, `it needs pack ${missing}, which waits`);
      else if (await copy(backup)) todo.backups.delete(backup);
    }
  }
  const lackingNames = () => new Set([...left].map(({ name }) => name));
  async function copyPoints(untilMs: number): Promise<void> {
    for (const point of todo.points) {
      if (point.modifiedMs > untilMs) break;
      const missing =
        (await missingBackup(from, idOf(point.name), target, signal)) ??
        (await missingOfLog(from, idOf(point.name), lackingNames(), signal));
      if (missing !== undefined) notCopied.set(point.name, `it needs ${missing}, which waits`);
      else if (await copy(point)) todo.points.delete(point);
    }
    const waiting = new Set([...todo.points].map(({ name }) => idOf(name)));
    for (const object of todo.besidePoints) {
      if (object.modifiedMs > untilMs) break;
      const pointId = idOf(object.name).split("/")[0] ?? "";
      if (waiting.has(pointId)) notCopied.set(object.name, `it needs point ${pointId}, which waits`);
      else if (await copy(object)) todo.besidePoints.delete(object);
    }
  }

  for (const [at, index] of todo.indexes.entries()) {
    const packIds = listedIn.get(index.name);
    if (packIds === undefined) continue; // said above why
    await copyPacks(packIds);
    const missing = packIds.find((packId) => !copiedPacks.has(packId) && !before.replicaPacks.has(packId));
    if (missing !== undefined) notCopied.set(index.name, `it lists pack ${missing}, which is not there`);
    else if (await copy(index)) for (const packId of packIds) unsettled.delete(packId);
    const next = todo.indexes[at + 1];
    if (next === undefined) continue;
    await copyBackups(next.modifiedMs - 1);
    await copyPoints(next.modifiedMs - 1);
  }
  await copyBackups(Number.POSITIVE_INFINITY);
  await copyPoints(Number.POSITIVE_INFINITY);
  for (const object of todo.last) await copy(object);
  // No index lists them: a writer is under way, or broke off.
  await copyPacks([...todo.packs.keys()]);

  return {
    copiedObjects,
    copiedBytes,
    notCopied: [...notCopied].map(([object, why]) => ({ object, why })),
    before,
    lag: lagOf({ atMs: before.atMs, lacking: [...left] }),
  };
}
