import type { LogPosition } from "@stillpoint/contracts/log";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import type { Fresh, SourceLog } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";
import type { SizedSource } from "./find-anomalies.ts";

type Reader = Pick<Repository, "headBackup" | "sourceLog">;

/** Of one stretch of a log the newest: what a day of it is like, the last of it says. */
const STRETCHES_COUNTED = 16;

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
      fresh: sumOf([...(await ownFresh(repository, source.backups, runId)), ...stretches]),
    });
    before = place;
  }
  return found;
}

/** Pure: what the newest closed stretches up to a place, from behind the one before it, added. */
function stretchesOf({ closed }: SourceLog, before: LogPosition | undefined, place: LogPosition): Fresh[] {
  const isBehind = ({ stream, at }: LogPosition) => before === undefined || before.stream !== stream || at > before.at;
  return closed
    .filter(({ range: { stream, to } }) => stream === place.stream && to <= place.at && isBehind({ stream, at: to }))
    .sort((a, b) => (a.range.to < b.range.to ? 1 : -1))
    .slice(0, STRETCHES_COUNTED)
    .flatMap(({ fresh }) => fresh ?? []);
}

async function fullBytes(repository: Reader, source: PointSource): Promise<number> {
  const [full = ""] = source.backups; // its log comes behind
  return (await repository.headBackup(full))?.bytes ?? source.bytes;
}

/** Of a run's own backups that are still there; what earlier releases stored does not say it. */
async function ownFresh(repository: Reader, backupIds: readonly string[], runId: string): Promise<Fresh[]> {
  const found = await Promise.all(backupIds.map((backupId) => repository.headBackup(backupId)));
  return found.flatMap((figures) =>
    figures?.runId !== runId || figures.newBytes === undefined
      ? []
      : [{ bytes: figures.newBytes, storedBytes: figures.storedBytes }],
  );
}

/** Pure. */
function sumOf(all: readonly Fresh[]): SizedSource["fresh"] {
  const fresh = { bytes: 0, storedBytes: 0 };
  for (const { bytes, storedBytes } of all) {
    fresh.bytes += bytes;
    fresh.storedBytes += storedBytes;
  }
  return fresh;
}
