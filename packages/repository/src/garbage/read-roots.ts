import { StillpointError } from "@stillpoint/contracts/errors";
import { deletionOf } from "../changes/deletion.ts";
import { isInForce, readHolds } from "../changes/holds.ts";
import type { NewestChanges } from "../changes/newest.ts";
import { objectName } from "../format/kinds.ts";
import { liveLeases, readLeases, type StoredLease } from "../leases/lease-log.ts";
import { overlapsJoined } from "../log/source-log.ts";
import { inParallel } from "../replicas/in-parallel.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { logOfPoints, type StoredTail } from "./log-of-points.ts";
import {
  decideRoots,
  type LogBackup,
  logWindow,
  pinOfPoint,
  type Root,
  type RootBackup,
  type RootPoint,
  standingBases,
} from "./roots.ts";
import type { GarbageSettings } from "./settings.ts";

const READS_AT_ONCE = 16;

export type Roots = {
  roots: Root[];
  points: readonly RootPoint[];
  newest: NewestChanges;
  /** Alive, other than the collector's own. */
  leases: readonly StoredLease[];
  /** Dead or outdated lease objects. */
  deadLeases: readonly string[];
  /**
   * For each source with a kept full: what its log is kept for. The closed stretches that are kept. And what points rest on,
   * of whatever age.
   */
  log: {
    bases: ReadonlyMap<string, LogBackup>;
    closed: readonly LogBackup[];
    points: ReturnType<typeof logOfPoints>;
  };
};

async function storedBackups(context: RepositoryContext, signal?: AbortSignal): Promise<RootBackup[]> {
  const folder = objectName("backups", "");
  const backups: RootBackup[] = [];
  for await (const { name, modifiedMs } of context.store.list(folder, { signal }))
    backups.push({ backupId: name.slice(folder.length), storedMs: modifiedMs });
  return backups;
}

/** `maySkip`: damage is left to who walks it; else it is thrown. */
async function describe(
  context: RepositoryContext,
  of: readonly RootBackup[],
  maySkip: (backup: RootBackup) => boolean,
  signal?: AbortSignal,
) {
  const described: LogBackup[] = [];
  for (let at = 0; at < of.length; at += READS_AT_ONCE)
    await Promise.all(
      of.slice(at, at + READS_AT_ONCE).map(async (backup) => {
        const found = await context.logs.describe(context, backup.backupId, signal).catch((error: unknown) => {
          if (!(error instanceof StillpointError) || error.code !== "OBJECT_DAMAGED" || !maySkip(backup)) throw error;
          return undefined;
        });
        if (found === undefined) return;
        const { plan, source, type, log: range, startedAt, finishedAt } = found;
        const begunMs = backup.storedMs - (Date.parse(finishedAt) - Date.parse(startedAt));
        described.push({ ...backup, plan, source: `${plan}/${source}`, type, range, begunMs });
      }),
    );
  return described;
}

async function readPoints(context: RepositoryContext, newest: NewestChanges, nowMs: number, signal?: AbortSignal) {
  const holds = await readHolds(context, { signal });
  const points: RootPoint[] = [];
  for (const [pointId, { backups, rests }] of await context.sealed.read(signal))
    points.push({
      pointId,
      backups,
      rests,
      deletion: deletionOf(newest, pointId),
      holds: (holds.get(pointId) ?? [])
        .filter((each) => isInForce(each, newest, nowMs))
        .map(({ holdId, until }) => ({ holdId, untilMs: until === undefined ? undefined : Date.parse(until) })),
    });
  return points;
}

/** Heads of all tails; of one that cannot be read nobody can say whose it is, and it stays by itself. */
async function storedTails(context: RepositoryContext, signal?: AbortSignal): Promise<StoredTail[]> {
  const folder = objectName("tails", "");
  const listed = await Array.fromAsync(context.store.list(folder, { signal }));
  const tails: StoredTail[] = [];
  await inParallel(listed, READS_AT_ONCE, async ({ name, modifiedMs, size }) => {
    const id = name.slice(folder.length);
    const head = await context.logs.headOf(context, id, signal).catch((error: unknown) => {
      if (error instanceof StillpointError && error.code === "OBJECT_DAMAGED") return undefined;
      throw error;
    });
    if (head === undefined) return;
    const { plan, source, stream, from, to, after, fenceToken } = head;
    const range = { stream, from, to, ...(after === undefined ? {} : { after }) };
    tails.push({ id, range, fenceToken, storedMs: modifiedMs, bytes: size, source: `${plan}/${source}` });
  });
  return tails;
}

/** The leases first: what somebody puts while his lease is not seen yet is young. Then points, before backups. */
export async function readRoots(
  context: RepositoryContext,
  nowMs: number,
  settings: GarbageSettings,
  signal?: AbortSignal,
): Promise<Roots> {
  const all = await readLeases(context, signal);
  const alive = liveLeases(all, nowMs);
  const leases = alive.filter(({ role }) => role !== "collector");
  const newest = await context.changes.newest(signal);
  // Backups before points: one that is sealed in between is in a point, or still among the unsealed.
  const backups = await storedBackups(context, signal);
  const points = await readPoints(context, newest, nowMs, signal);
  const kept = { points, backups, leases: leases.map((each) => ({ ...each, untilMs: each.storedMs + each.lengthMs })) };
  const firm = new Set(decideRoots({ ...kept, log: [] }, nowMs, settings).map(({ backupId }) => backupId));
  // Also what only a deleted point still names: the log of its time may be needed without it.
  const others = backups.filter(({ backupId }) => !firm.has(backupId));
  const inPoint = new Set(points.flatMap((point) => point.backups));
  const isInPoint = ({ backupId }: RootBackup) => inPoint.has(backupId);
  const described = await describe(context, others, isInPoint, signal);
  const logs = described.filter(({ type }) => type === "log");
  const hasTails = !(await context.store.list("tails/", { signal })[Symbol.asyncIterator]().next()).done;
  const isLog = logs.length > 0 || hasTails;
  const firmly = isLog
    ? await describe(
        context,
        backups.filter(({ backupId }) => firm.has(backupId)),
        () => true,
        signal,
      )
    : [];
  const fullsOf = (of: readonly LogBackup[]) => of.filter(({ type }) => type === "full");
  const shipped = new Set(logs.map(({ source }) => source));
  const standing = isLog
    ? standingBases(fullsOf([...described, ...firmly]), inPoint, (source) => hasTails || shipped.has(source))
    : [];
  const isStanding = new Set(standing);
  const bases = fullsOf([...firmly, ...described.filter(({ backupId }) => isStanding.has(backupId))]);
  const window = logWindow(bases, logs, nowMs, settings);
  const rests = points
    .filter((point) => pinOfPoint(point, nowMs, settings) !== undefined)
    .flatMap((point) => point.rests);
  const ofPoints = logOfPoints(
    rests,
    [...firmly, ...described],
    rests.length === 0 ? [] : await storedTails(context, signal),
  );
  const isRestedOn = ({ source, range }: LogBackup) => {
    const ranges = ofPoints.get(source);
    return ranges === "all" || (ranges !== undefined && range !== undefined && overlapsJoined(ranges, range));
  };
  const inWindow = new Set(window.backups);
  const restedOn = logs
    .filter((each) => !inWindow.has(each.backupId) && isRestedOn(each))
    .map(({ backupId }) => backupId);
  const log = [...window.backups, ...restedOn, ...standing];
  const needed = new Set(log);
  const closed = [
    ...firmly.filter(({ type }) => type === "log"),
    ...logs.filter(({ backupId }) => needed.has(backupId)),
  ];
  return {
    roots: decideRoots({ ...kept, log }, nowMs, settings),
    points,
    newest,
    leases,
    deadLeases: all.filter((each) => !alive.includes(each)).map(({ id }) => objectName("leases", id)),
    log: { bases: window.bases, closed, points: ofPoints },
  };
}
