import type { LogGap, LogPosition } from "@stillpoint/contracts/log";
import type { HeldFull, SourceLog } from "./source-log.ts";
import { type LogMap, leftFrom, mapLog, type Passage, type Stretch } from "./stretches.ts";

/** Any place from `from` to `to` can be restored. Where a stream was left and went on as well, two windows share a beginning. */
export type LogWindow = {
  from: LogPosition;
  to: LogPosition;
  /** What its first place is restored from. */
  base: string;
  /** All that a place in it may be restored from, in their order. */
  bases: string[];
  /** By the storage's clock: when its first base was stored, and when what it ends with. */
  fromMs: number;
  toMs: number;
};

export type LogHole = { after?: LogPosition; until?: LogPosition /** What was recorded of it. */; gap?: LogGap };

export type LogState = {
  /** The one that ends newest last. */
  windows: LogWindow[];
  holes: LogHole[];
  /** The newest place up to which the log is held without a hole, whatever it stands on: where a shipper goes on. */
  held?: LogPosition;
  /** Whether a base serves that place. */
  baseServes: boolean;
};

/** From where on a stretch can be restored, and by what: a base in it, or the stream that it goes on from. */
type Start = { at: string; by: { base: HeldFull } | { passage: Passage; from: Stretch } };

/** Whether the way from its base to a stretch goes through another: streams that lead in a circle lead nowhere. */
function standsOn(starts: ReadonlyMap<Stretch, Start>, stretch: Stretch, other: Stretch): boolean {
  for (let each: Stretch | undefined = stretch; each !== undefined; ) {
    if (each === other) return true;
    const by: Start["by"] | undefined = starts.get(each)?.by;
    each = by !== undefined && "from" in by ? by.from : undefined;
  }
  return false;
}

/** Pure: for each stretch that can be restored, from where on. */
export function startsOf(map: LogMap): ReadonlyMap<Stretch, Start> {
  const starts = new Map<Stretch, Start>();
  const firstBase = ({ bases }: Stretch) =>
    bases.reduce<HeldFull | undefined>(
      (first, each) => (first && first.range.to <= each.range.to ? first : each),
      undefined,
    );
  for (const stretch of [...map.stretches.values()].flat()) {
    const base = firstBase(stretch);
    if (base !== undefined) starts.set(stretch, { at: base.range.to, by: { base } });
  }
  // What one stream hands on to the next may go through several: until nothing changes.
  for (let changed = true; changed; ) {
    changed = false;
    for (const passage of map.passages) {
      const from = leftFrom(map, passage).find((each) => (starts.get(each)?.at ?? "~") <= passage.left.at);
      const known = starts.get(passage.into);
      if (from === undefined || (known !== undefined && known.at <= passage.at)) continue;
      if (standsOn(starts, from, passage.into)) continue;
      starts.set(passage.into, { at: passage.at, by: { passage, from } });
      changed = true;
    }
  }
  return starts;
}

function windowOf(starts: ReadonlyMap<Stretch, Start>, last: Stretch): LogWindow | undefined {
  const bases: HeldFull[] = [];
  let [stretch, upTo] = [last, last.to];
  for (let start = starts.get(stretch); start !== undefined; start = starts.get(stretch)) {
    const until = upTo;
    const inOrder = stretch.bases.filter(({ range }) => range.to <= until);
    bases.unshift(...inOrder.sort((a, b) => (a.range.to < b.range.to ? -1 : 1)));
    if ("base" in start.by) {
      const { base } = start.by;
      return {
        from: { stream: stretch.stream, at: start.at },
        to: { stream: last.stream, at: last.to },
        base: base.backupId,
        bases: bases.map(({ backupId }) => backupId),
        fromMs: base.storedMs,
        toMs: Math.max(last.newestMs, ...last.bases.map(({ storedMs }) => storedMs)),
      };
    }
    upTo = start.by.passage.left.at;
    stretch = start.by.from;
  }
  return undefined;
}

function holesOf(map: LogMap, gaps: readonly LogGap[]): LogHole[] {
  const holes: LogHole[] = gaps.map((gap) => ({
    ...(gap.after === undefined ? {} : { after: gap.after }),
    ...(gap.until === undefined ? {} : { until: gap.until }),
    gap,
  }));
  const add = (after: LogPosition, until: LogPosition) => {
    const same = holes.find((hole) => hole.after?.stream === after.stream && hole.after.at === after.at);
    if (same === undefined) holes.push({ after, until });
    else same.until ??= until;
  };
  for (const [stream, stretches] of map.stretches) {
    let before: string | undefined;
    for (const { from, to } of stretches) {
      if (before !== undefined && before < from) add({ stream, at: before }, { stream, at: from });
      if (before === undefined || before < to) before = to;
    }
  }
  for (const passage of map.passages) {
    if (leftFrom(map, passage).length > 0) continue;
    const { stream, at } = passage.left;
    const before = map.stretches.get(stream)?.findLast(({ to }) => to < at);
    if (before !== undefined) add({ stream, at: before.to }, { stream: passage.into.stream, at: passage.at });
  }
  return holes;
}

/** Where a shipper goes on: behind what was stored last, or where the log of a later base begins. */
function heldOf(map: LogMap): LogPosition | undefined {
  const ends = [...map.stretches.values()].flat().map((each) => ({
    position: each.endsAtGap ? undefined : { stream: each.stream, at: each.to },
    ms: each.newestMs,
  }));
  const isHeld = ({ range: { stream, from } }: HeldFull) =>
    map.stretches.get(stream)?.some((each) => each.from <= from && from <= each.to) ?? false;
  for (const base of map.lacking) {
    const { stream, from } = base.range;
    if (!isHeld(base)) ends.push({ position: { stream, at: from }, ms: base.storedMs });
  }
  ends.sort((a, b) => a.ms - b.ms || ((a.position?.at ?? "") < (b.position?.at ?? "") ? -1 : 1));
  return ends.at(-1)?.position;
}

/** Pure: what can be restored of a source, derived from what is held. */
export function deriveLog(log: Omit<SourceLog, "damaged">): LogState {
  const map = mapLog(log);
  const starts = startsOf(map);
  const handsOn = ({ by }: Start, stretch: Stretch) =>
    "passage" in by && by.from === stretch && by.passage.left.at === stretch.to;
  const goesOn = (stretch: Stretch) => [...starts.values()].some((start) => handsOn(start, stretch));
  const windows = [...starts.keys()]
    .filter((each) => !goesOn(each))
    .flatMap((each) => windowOf(starts, each) ?? [])
    .sort((a, b) => a.toMs - b.toMs || (a.to.at < b.to.at ? -1 : 1));
  const held = heldOf(map);
  const baseServes = held !== undefined && windows.some(({ to }) => to.stream === held.stream && to.at === held.at);
  return { windows, holes: holesOf(map, log.gaps), ...(held === undefined ? {} : { held }), baseServes };
}
