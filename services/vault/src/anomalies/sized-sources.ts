import type { LogPosition } from "@stillpoint/contracts/log";
import type { BackupFigures, Point, PointSource } from "@stillpoint/contracts/point";
import type { SourceLog } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";
import type { SizedSource } from "./find-anomalies.ts";

type Reader = Pick<Repository, "headBackup" | "sourceLog">;

/** Manifests that are read of one stretch of a log, the newest: a day of it may be thousands. */
const STRETCHES_READ = 16;

/** By its point: one source in several points of a plan, the oldest first, with the figures that its manifests have of it. */
export async function sizedSources(
  repository: Reader,
  points: readonly Point[],
  name: string,
): Promise<Map<string, SizedSource>> {
  const found = new Map<string, SizedSource>();
  let log: SourceLog | undefined;
  let before: LogPosition | undefined;
  for (const { pointId, plan, runId, sources } of points) {
    const source = sources.find((each) => each.source === name);
    if (source === undefined) continue;
    const place = source.mark.log?.place;
    if (place !== undefined) log ??= await repository.sourceLog({ plan, source: name });
    const stretches = place === undefined || log === undefined ? [] : stretchesOf(log, before, place);
    found.set(pointId, {
      ...source,
      dataBytes: source.sizeBytes ?? (await fullBytes(repository, source)),
      fresh: freshIn([
        ...(await figuresOf(repository, source.backups)).filter((figures) => figures.runId === runId),
        ...(await figuresOf(repository, stretches)),
      ]),
    });
    before = place;
  }
  return found;
}

/** Pure: the newest closed stretches up to a place, from behind the one before it. */
function stretchesOf({ closed }: SourceLog, before: LogPosition | undefined, place: LogPosition): string[] {
  const isBehind = ({ stream, at }: LogPosition) => before === undefined || before.stream !== stream || at > before.at;
  return closed
    .filter(({ range: { stream, to } }) => stream === place.stream && to <= place.at && isBehind({ stream, at: to }))
    .sort((a, b) => (a.range.to < b.range.to ? 1 : -1))
    .slice(0, STRETCHES_READ)
    .map(({ backupId }) => backupId);
}

async function fullBytes(repository: Reader, source: PointSource): Promise<number> {
  const [full = ""] = source.backups; // its log comes behind
  return (await repository.headBackup(full))?.bytes ?? source.bytes;
}

/** Of those that are still there. */
async function figuresOf(repository: Reader, backupIds: readonly string[]): Promise<BackupFigures[]> {
  const found = await Promise.all(backupIds.map((backupId) => repository.headBackup(backupId)));
  return found.filter((figures) => figures !== undefined);
}

/** Pure. What earlier releases stored does not say how long it was. */
function freshIn(backups: readonly BackupFigures[]): SizedSource["fresh"] {
  const fresh = { bytes: 0, storedBytes: 0 };
  for (const { newBytes, storedBytes } of backups) {
    if (newBytes === undefined) continue;
    fresh.bytes += newBytes;
    fresh.storedBytes += storedBytes;
  }
  return fresh;
}
