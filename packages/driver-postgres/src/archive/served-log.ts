import type { LogPiece } from "@stillpoint/driver/recover";
import { type WalPosition, walPositionOf } from "../log-position.ts";
import { historyName, segmentName, segmentStarts } from "../lsn.ts";
import type { Ancestry } from "../timeline-history.ts";

/** A segment as a file, and what it is made of: each piece over those before it. */
export type SegmentFile = { name: string; start: bigint; pieces: readonly LogPiece[] };
/** Where a timeline came from; the stretch that it begins with may have the server's own file. */
export type HistoryFile = { name: string; ancestry: Ancestry; first: LogPiece | undefined };

/** All that an archive has for one recovery: what is not named here is not in it. */
export type ServedLog = {
  /** In the order in which recovery asks for them. */
  segments: ReadonlyMap<string, SegmentFile>;
  histories: ReadonlyMap<string, HistoryFile>;
  ancestry: Ancestry;
  /** The log is there up to here. */
  until: WalPosition;
};

/** Pure: a log as the files of an archive. `base`: where its replay begins. */
export function servedLog(
  base: { stream: string; from: string; to: string },
  log: readonly LogPiece[],
  segmentBytes: number,
): ServedLog {
  const segments = new Map<string, { name: string; start: bigint; pieces: LogPiece[] }>();
  for (const piece of log) {
    const { stream, from, to } = piece.range;
    // A history that was given alone: it lies where its timeline begins, and has nothing of a segment.
    if (from === to) continue;
    const { timeline, at } = walPositionOf({ stream, at: from });
    for (const start of segmentStarts(at, walPositionOf({ stream, at: to }).at, segmentBytes)) {
      const name = segmentName(timeline, start, segmentBytes);
      const there = segments.get(name);
      if (there === undefined) segments.set(name, { name, start, pieces: [piece] });
      else there.pieces.push(piece);
    }
  }
  const left = log.flatMap(({ range: { after } }) => (after === undefined ? [] : [walPositionOf(after)]));
  const ancestry = left.filter((each, i) => left.findIndex((other) => other.timeline === each.timeline) === i);
  const histories = new Map<string, HistoryFile>();
  for (const piece of log) {
    const { after, stream, from } = piece.range;
    if (after === undefined) continue;
    const name = historyName(walPositionOf({ stream, at: from }).timeline);
    const known = histories.get(name);
    const before = ancestry.slice(
      0,
      ancestry.findIndex(({ timeline }) => timeline === walPositionOf(after).timeline) + 1,
    );
    if (known === undefined || (known.first === undefined && piece.type === "closed"))
      histories.set(name, { name, ancestry: before, first: piece.type === "closed" ? piece : undefined });
  }
  const last = log.at(-1)?.range ?? base;
  return { segments, histories, ancestry, until: walPositionOf({ stream: last.stream, at: last.to }) };
}
