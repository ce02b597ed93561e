import type { LogGap, LogPosition } from "@stillpoint/contracts/log";
import type { HeldClosed, HeldFull, HeldTail, SourceLog } from "./source-log.ts";

export type Piece = HeldClosed | HeldTail;

/** Of one stream, held from `from` to `to` without a hole, and with no recorded gap inside. */
export type Stretch = {
  stream: string;
  from: string;
  to: string;
  /** A gap was recorded there: nothing flows in or out over it, even where no byte is missing. */
  startsAtGap: boolean;
  endsAtGap: boolean;
  /** Fulls whose whole replay, up to where they are whole, lies in it. */
  bases: HeldFull[];
  /** When what it ends with was stored. */
  newestMs: number;
};

/** Where a stream goes on from another: `left` is in the earlier one, `at` in the stretch that is entered. */
export type Passage = { left: LogPosition; into: Stretch; at: string };

export type LogMap = {
  /** In the order of their places. */
  stretches: ReadonlyMap<string, readonly Stretch[]>;
  passages: readonly Passage[];
  /** Fulls that miss log which must be laid over them before they are whole. */
  lacking: readonly HeldFull[];
};

type Barrier = { at: string /** ISO; absent where the log is there again from here on. */; lostAt?: string };

const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function barriersOf(gaps: readonly LogGap[], stream: string): Barrier[] {
  const found: Barrier[] = [];
  for (const { after, until, at } of gaps) {
    if (after?.stream === stream) found.push({ at: after.at, lostAt: at });
    if (until?.stream === stream) found.push({ at: until.at });
  }
  return found.sort((a, b) => inOrder(a.at, b.at));
}

/** Whether a base whose log begins just at a gap is of the time after it: it was begun after the gap was met. */
function isPast(barriers: readonly Barrier[], { range, startedAt }: HeldFull): boolean {
  return barriers.every(({ at, lostAt }) => at !== range.from || lostAt === undefined || startedAt >= lostAt);
}

function joined(stream: string, pieces: readonly Piece[], barriers: readonly Barrier[]): Stretch[] {
  const stretches: Stretch[] = [];
  const sorted = pieces.filter(({ range }) => range.from < range.to);
  sorted.sort((a, b) => inOrder(a.range.from, b.range.from));
  let open: { from: string; to: string } | undefined;
  const close = () => {
    if (open === undefined) return;
    const { from, to } = open;
    const cuts = new Set(barriers.map(({ at }) => at).filter((at) => from <= at && at <= to));
    const ends = [from, ...[...cuts].filter((at) => from < at && at < to), to];
    for (const [i, end] of ends.slice(1).entries()) {
      const begin = ends[i] ?? from;
      const isLast = ({ range }: Piece) => range.from < end && range.to >= end;
      const newestMs = Math.max(...sorted.filter(isLast).map(({ storedMs }) => storedMs));
      const gaps = { startsAtGap: cuts.has(begin), endsAtGap: cuts.has(end) };
      stretches.push({ stream, from: begin, to: end, ...gaps, bases: [], newestMs });
    }
  };
  for (const { range } of sorted)
    if (open === undefined || range.from > open.to) {
      close();
      open = { from: range.from, to: range.to };
    } else if (range.to > open.to) open.to = range.to;
  close();
  return stretches;
}

/** Gives a base to the stretch that it stands in; one that needs no log stands by itself. False: it misses some. */
function place(base: HeldFull, stretches: Stretch[], barriers: readonly Barrier[]): boolean {
  const { stream, from, to } = base.range;
  const past = isPast(barriers, base);
  const fits = (each: Stretch) => each.from <= from && to <= each.to;
  const isBefore = (each: Stretch) => each.startsAtGap && each.from === from && !past;
  const isBehind = (each: Stretch) => each.endsAtGap && each.to === from && past;
  const home = stretches.findLast((each) => fits(each) && !isBefore(each) && !isBehind(each));
  if (home === undefined && from < to) return false;
  if (home !== undefined) home.bases.push(base);
  else {
    const atGap = barriers.some(({ at }) => at === to);
    const alone = { startsAtGap: atGap && past, endsAtGap: atGap && !past, bases: [base], newestMs: base.storedMs };
    stretches.push({ stream, from, to, ...alone });
  }
  return true;
}

/** Pure: what hangs together, of all that is held. */
export function mapLog({ fulls, closed, tails, gaps }: Omit<SourceLog, "damaged">): LogMap {
  const pieces = Map.groupBy([...closed, ...tails] as Piece[], ({ range }) => range.stream);
  const bases = Map.groupBy(fulls, ({ range }) => range.stream);
  const stretches = new Map<string, Stretch[]>();
  const lacking: HeldFull[] = [];
  for (const stream of new Set([...pieces.keys(), ...bases.keys()])) {
    const barriers = barriersOf(gaps, stream);
    const found = joined(stream, pieces.get(stream) ?? [], barriers);
    for (const base of bases.get(stream) ?? []) if (!place(base, found, barriers)) lacking.push(base);
    found.sort((a, b) => inOrder(a.from, b.from) || inOrder(a.to, b.to));
    stretches.set(stream, found);
  }
  const passages = new Map<string, Passage>();
  for (const [stream, ofStream] of pieces)
    for (const { range } of ofStream) {
      const { from: at, after: left } = range;
      if (left === undefined || at >= range.to) continue;
      const into = stretches.get(stream)?.find((each) => each.from <= at && at < each.to);
      if (into === undefined || (into.startsAtGap && into.from === at)) continue;
      passages.set(`${left.stream}@${left.at} ${stream}@${at}`, { left, into, at });
    }
  return { stretches, passages: [...passages.values()], lacking };
}

/** The stretches that a position is in. */
export function stretchesAt({ stretches }: LogMap, { stream, at }: LogPosition): Stretch[] {
  return stretches.get(stream)?.filter((each) => each.from <= at && at <= each.to) ?? [];
}

/** Those of them that a later stream may go on from there. */
export function leftFrom(map: LogMap, { left }: Passage): Stretch[] {
  return stretchesAt(map, left).filter((each) => !(each.endsAtGap && each.to === left.at));
}
