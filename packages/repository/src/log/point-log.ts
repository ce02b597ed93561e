import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { Point } from "@stillpoint/contracts/point";
import type { StoredStretch } from "@stillpoint/contracts/vault";
import { objectName } from "../format/kinds.ts";
import { findServing, type Serving } from "./serve.ts";
import type { SourceLog, SourceOfPlan } from "./source-log.ts";

/** A source of a point that rests on a base and what is held of its log, up to a place: the point's backups lack it. */
export type RestOnLog = SourceOfPlan & { base: string; place: LogPosition };

/** Pure: the sources of a point that rest on the log. */
export function restsOf({ plan, sources }: Pick<Point, "plan" | "sources">): RestOnLog[] {
  return sources.flatMap(({ source, backups: [base], mark: { log } }) =>
    base === undefined || log === undefined ? [] : [{ plan, source, base, place: log.place }],
  );
}

/** Pure: what such a source is restored from; undefined where the log has a hole on the way. */
export function findPointServing(
  { fulls, ...log }: Omit<SourceLog, "damaged">,
  { base, place }: Pick<RestOnLog, "base" | "place">,
): Serving | undefined {
  return findServing({ ...log, fulls: fulls.filter(({ backupId }) => backupId === base) }, place);
}

/** The same, of a point that there is. LOG_GAP: what it rested on is not all there any more. */
export function servePoint(log: Omit<SourceLog, "damaged">, rest: RestOnLog): Serving {
  const serving = findPointServing(log, rest);
  if (serving !== undefined) return serving;
  throw new StillpointError("LOG_GAP", {
    what: "The log between a base and a point's mark is not held as a whole",
    where: `${rest.plan}/${rest.source}`,
    why: `base ${rest.base} cannot be followed to ${rest.place.at} in ${rest.place.stream}`,
    hint: "`stillpoint log` shows what is held; `stillpoint repo check` names what is damaged",
  });
}

/** What is read for one place: where the base's replay begins and ends, and the log in order. */
export type LogPieces = { base: string; baseRange: LogRange; pieces: StoredStretch[] };

/** Pure: what serves, with what each stretch holds. */
export function piecesOf({ fulls, closed, tails }: Omit<SourceLog, "damaged" | "gaps">, serving: Serving): LogPieces {
  const held = new Map<string, { range: LogRange; bytes?: number }>(
    [...fulls, ...closed].map((each) => [objectName("backups", each.backupId), each]),
  );
  for (const tail of tails) held.set(objectName("tails", tail.id), tail);
  const aboutOf = (object: string) => {
    const { range, bytes } = held.get(object) ?? {};
    if (range === undefined) throw new TypeError("unreachable: what serves is what is held");
    return { range, bytes };
  };
  const pieces = serving.reads.map((read): StoredStretch => {
    if (read.type === "tail") return { type: "tail", id: read.id, ...aboutOf(objectName("tails", read.id)) };
    return { type: "closed", backupId: read.backupId, ...aboutOf(objectName("backups", read.backupId)) };
  });
  return { base: serving.base, baseRange: aboutOf(objectName("backups", serving.base)).range, pieces };
}

/** Pure: bytes of the log that are read; of tails as they are stored. */
export function bytesToReplay({ closed, tails }: Pick<SourceLog, "closed" | "tails">, { reads }: Serving): number {
  const closedBytes = new Map(closed.map(({ backupId, bytes }) => [backupId, bytes]));
  const tailBytes = new Map(tails.map(({ id, bytes }) => [id, bytes]));
  const bytesOf = (read: Serving["reads"][number]) =>
    (read.type === "closed" ? closedBytes.get(read.backupId) : tailBytes.get(read.id)) ?? 0;
  return reads.reduce((sum, read) => sum + bytesOf(read), 0);
}
