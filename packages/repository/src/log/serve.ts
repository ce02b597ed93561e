import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import type { HeldClosed, HeldFull, HeldTail, SourceLog } from "./source-log.ts";
import { type LogMap, leftFrom, mapLog, type Stretch, stretchesAt } from "./stretches.ts";
import { deriveLog, startsOf } from "./windows.ts";

/** A part of a closed stretch or of a tail, `from` to `to`, as it is read. */
export type LogRead = { stream: string; from: string; to: string } & (
  | { type: "closed"; backupId: string }
  | { type: "tail"; id: string }
);

/** What one place is restored from: the base, and then the log, in this order, without a hole or an overlap. */
export type Serving = { at: LogPosition; base: string; reads: LogRead[] };

type Leg = { stretch: Stretch; from: string; to: string };

/** The base that is nearest before a place, and the way from there. */
function wayTo(
  map: LogMap,
  stretches: readonly Stretch[],
  at: string,
  seen: ReadonlySet<Stretch>,
): [HeldFull, Leg[]] | undefined {
  for (const stretch of stretches) {
    const usable = stretch.bases.filter(({ range }) => range.to <= at);
    const base = usable.reduce<HeldFull | undefined>(
      (best, each) => (best && isNearer(best, each) ? best : each),
      undefined,
    );
    if (base !== undefined) return [base, [{ stretch, from: base.range.from, to: at }]];
  }
  for (const stretch of stretches) {
    if (seen.has(stretch)) continue;
    const into = map.passages.filter((each) => each.into === stretch && each.at <= at);
    for (const passage of into.sort((a, b) => (a.at < b.at ? 1 : -1))) {
      const way = wayTo(map, leftFrom(map, passage), passage.left.at, new Set([...seen, stretch]));
      if (way !== undefined) return [way[0], [...way[1], { stretch, from: passage.at, to: at }]];
    }
  }
  return undefined;
}

function isNearer(a: HeldFull, b: HeldFull): boolean {
  return a.range.to > b.range.to || (a.range.to === b.range.to && a.storedMs >= b.storedMs);
}

/**
 * Of those that hold a place, the one that reaches furthest; of two alike that of the later writer. Asked for places that only
 * go forward, so that a day of tails is gone through once. `next`: where the first one begins that is behind the place.
 */
function furthest<Held extends HeldClosed | HeldTail>(held: readonly Held[]) {
  const sorted = held.toSorted((a, b) => (a.range.from < b.range.from ? -1 : 1));
  const tokenOf = (each: Held) => ("fenceToken" in each ? each.fenceToken : 0);
  let begun = 0;
  let best: Held | undefined;
  return (at: string): { piece: Held | undefined; next: string | undefined } => {
    for (let each = sorted[begun]; each !== undefined && each.range.from <= at; each = sorted[++begun]) {
      const isFurther = best === undefined || each.range.to > best.range.to;
      if (isFurther || (each.range.to === best?.range.to && tokenOf(each) > tokenOf(best))) best = each;
    }
    const piece = best !== undefined && best.range.to > at ? best : undefined;
    return { piece, next: sorted[begun]?.range.from };
  };
}

function readsOf(
  { stretch: { stream }, from, to }: Leg,
  { closed, tails }: Pick<SourceLog, "closed" | "tails">,
): LogRead[] {
  const inLeg = ({ range }: HeldClosed | HeldTail) => range.stream === stream && range.from < to && range.to > from;
  const [ofClosed, ofTails] = [furthest(closed.filter(inLeg)), furthest(tails.filter(inLeg))];
  const reads: LogRead[] = [];
  for (let at = from; at < to; ) {
    const whole = ofClosed(at);
    const piece = whole.piece ?? ofTails(at).piece;
    if (piece === undefined) throw new TypeError("unreachable: a stretch is held without a hole");
    const nextClosed = whole.piece === undefined ? whole.next : undefined;
    const end = [piece.range.to, to, nextClosed ?? to].reduce((least, each) => (each < least ? each : least));
    const part = { stream, from: at, to: end };
    reads.push(
      "backupId" in piece
        ? { type: "closed", backupId: piece.backupId, ...part }
        : { type: "tail", id: piece.id, ...part },
    );
    at = end;
  }
  return reads;
}

/** Pure: what a place is restored from; undefined where it cannot be. */
export function findServing(log: Omit<SourceLog, "damaged">, at: LogPosition): Serving | undefined {
  const map = mapLog(log);
  const way = wayTo(map, stretchesAt(map, at), at.at, new Set());
  if (way === undefined) return undefined;
  const [base, legs] = way;
  return { at, base: base.backupId, reads: legs.flatMap((leg) => readsOf(leg, log)) };
}

/** Pure: the places next to one that cannot be restored, before it and behind it, in its stream. */
export function nearest(
  log: Omit<SourceLog, "damaged">,
  { stream, at }: LogPosition,
): { before?: LogPosition; behind?: LogPosition } {
  const parts = [...startsOf(mapLog(log))].filter(([stretch]) => stretch.stream === stream);
  const before = parts
    .map(([{ to }]) => to)
    .filter((to) => to < at)
    .sort()
    .at(-1);
  const [behind] = parts
    .map(([, start]) => start.at)
    .filter((from) => from > at)
    .sort();
  return {
    ...(before === undefined ? {} : { before: { stream, at: before } }),
    ...(behind === undefined ? {} : { behind: { stream, at: behind } }),
  };
}

/** Why nothing, or not this, can be restored. */
export const NO_WINDOW = "no base has its log without a hole";
export const IN_NO_WINDOW =
  "it is in no window: the log is not held there, or no base before it has its log without a hole";

const words = ({ stream, at }: LogPosition) => `${at} in ${stream}`;

/** What a place, or the newest one, is restored from. LOG_GAP names the nearest places that can be had. */
export function serve(log: Omit<SourceLog, "damaged">, wanted: LogPosition | "newest"): Serving {
  const at = wanted === "newest" ? deriveLog(log).windows.at(-1)?.to : wanted;
  const serving = at === undefined ? undefined : findServing(log, at);
  if (serving !== undefined) return serving;
  const { windows, holes } = deriveLog(log);
  const newest = windows.at(-1)?.to;
  const near = at === undefined ? {} : nearest(log, at);
  const possible = [near.before, near.behind].flatMap((each) => (each === undefined ? [] : [words(each)]));
  const gap = at && holes.find(({ after, until }) => isBetween(at, after, until))?.gap;
  throw new StillpointError("LOG_GAP", {
    what: "Cannot restore to this place of the log",
    ...(at === undefined ? {} : { where: words(at) }),
    why: whyNot(at, newest, gap?.why),
    hint:
      possible.length > 0
        ? `the nearest places that can be had: ${possible.join(", ")}`
        : newest === undefined
          ? "a new base makes the log of use from then on; points can be restored as they are"
          : `the newest place that can be had: ${words(newest)}`,
  });
}

function isBetween(
  { stream, at }: LogPosition,
  after: LogPosition | undefined,
  until: LogPosition | undefined,
): boolean {
  if (after?.stream === stream && at < after.at) return false;
  if (until?.stream === stream && at >= until.at) return false;
  return after?.stream === stream || until?.stream === stream;
}

function whyNot(at: LogPosition | undefined, newest: LogPosition | undefined, recorded: string | undefined): string {
  if (recorded !== undefined) return `it lies in a gap: ${recorded}`;
  return newest === undefined || at === undefined ? NO_WINDOW : IN_NO_WINDOW;
}
