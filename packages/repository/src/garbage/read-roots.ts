import { deletionOf } from "../changes/deletion.ts";
import { isInForce, readHolds } from "../changes/holds.ts";
import type { NewestChanges } from "../changes/newest.ts";
import { getDocument } from "../documents-store.ts";
import { manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { liveLeases, readLeases, type StoredLease } from "../leases/lease-log.ts";
import { UNSEALED_MS } from "../leases/seal-point.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { decideRoots, type LogBackup, logWindow, type Root, type RootBackup, type RootPoint } from "./roots.ts";
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
  /** For each source with a kept full: since when its log is kept, by the storage's clock. */
  logSince: ReadonlyMap<string, number>;
};

async function storedBackups(context: RepositoryContext, signal?: AbortSignal): Promise<RootBackup[]> {
  const folder = objectName("backups", "");
  const backups: RootBackup[] = [];
  for await (const { name, modifiedMs } of context.store.list(folder, { signal }))
    backups.push({ backupId: name.slice(folder.length), storedMs: modifiedMs });
  return backups;
}

async function describe(context: RepositoryContext, of: readonly RootBackup[], signal?: AbortSignal) {
  const described: LogBackup[] = [];
  for (let at = 0; at < of.length; at += READS_AT_ONCE)
    await Promise.all(
      of.slice(at, at + READS_AT_ONCE).map(async (backup) => {
        const found = await getDocument(context, "backups", backup.backupId, manifest, signal);
        if (found === undefined) return;
        const { plan, source, type } = found.document.figures;
        described.push({ ...backup, plan, source: `${plan}/${source}`, type });
      }),
    );
  return described;
}

async function readPoints(context: RepositoryContext, newest: NewestChanges, nowMs: number, signal?: AbortSignal) {
  const holds = await readHolds(context, { signal });
  const points: RootPoint[] = [];
  for (const [pointId, backups] of await context.sealed.read(signal))
    points.push({
      pointId,
      backups,
      deletion: deletionOf(newest, pointId),
      holds: (holds.get(pointId) ?? [])
        .filter((each) => isInForce(each, newest, nowMs))
        .map(({ holdId, until }) => ({ holdId, untilMs: until === undefined ? undefined : Date.parse(until) })),
    });
  return points;
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
  const inPoint = new Set(points.flatMap((point) => point.backups));
  const old = backups.filter(({ backupId, storedMs }) => !inPoint.has(backupId) && storedMs + UNSEALED_MS <= nowMs);
  const logs = (await describe(context, old, signal)).filter(({ type }) => type === "log");
  const kept = { points, backups, leases: leases.map((each) => ({ ...each, untilMs: each.storedMs + each.lengthMs })) };
  const firm = new Set(decideRoots({ ...kept, log: [] }, nowMs, settings).map(({ backupId }) => backupId));
  const hasTails = !(await context.store.list("tails/", { signal })[Symbol.asyncIterator]().next()).done;
  const fulls =
    logs.length === 0 && !hasTails
      ? []
      : (
          await describe(
            context,
            backups.filter(({ backupId }) => firm.has(backupId)),
            signal,
          )
        ).filter(({ type }) => type === "full");
  const window = logWindow(fulls, logs, nowMs, settings);
  return {
    roots: decideRoots({ ...kept, log: window.backups }, nowMs, settings),
    points,
    newest,
    leases,
    deadLeases: all.filter((each) => !alive.includes(each)).map(({ id }) => objectName("leases", id)),
    logSince: window.since,
  };
}
