import type { CutEvidence, Mark } from "@stillpoint/contracts/point";

/** What the owner saw of a cut; every `…Ms` is a reading of its own monotonic clock. */
export type CutObservation = {
  cutId: string;
  mode: "fence" | "align";
  /** Wall clock when the last mark was in; for people only. */
  at: string;
  /** When the hook confirmed that all writers are quiet; absent where none was asked. */
  confirmedMs?: number;
  firstRequestMs: number;
  /** When the release left. */
  releasedMs?: number;
  /** What the release was answered with; absent where no answer came. */
  heldThroughout?: boolean;
  sequence?: number;
  marks: { source: string; mark: Mark; repliedMs: number }[];
};

/** The class, from evidence alone: whatever is missing makes it `fuzzy`, with the reason. */
export function judgeCut(seen: CutObservation): CutEvidence {
  const replies = seen.marks.map((each) => each.repliedMs);
  const lastReplyMs = Math.max(...replies);
  const reasons = seen.mode === "fence" ? fenceReasons(seen, lastReplyMs) : [];
  for (const { source, mark } of seen.marks) {
    if (mark.cutId !== seen.cutId) reasons.push(`${source} answered with the mark of another cut`);
    if (mark.fuzzy !== undefined) reasons.push(`${source}: ${mark.fuzzy}`);
  }
  const consistency = reasons.length > 0 ? "fuzzy" : seen.mode === "fence" ? "fenced" : "aligned";
  return {
    cutId: seen.cutId,
    mode: seen.mode,
    at: seen.at,
    consistency,
    reasons,
    windowMs: round(lastReplyMs - seen.firstRequestMs),
    skewMs: round(lastReplyMs - Math.min(...replies)),
    ...(seen.confirmedMs === undefined || seen.releasedMs === undefined
      ? {}
      : { fencedMs: round(seen.releasedMs - seen.confirmedMs) }),
    ...(seen.heldThroughout === undefined ? {} : { heldThroughout: seen.heldThroughout }),
    ...(seen.sequence === undefined ? {} : { sequence: seen.sequence }),
    offsetsMs: Object.fromEntries(
      seen.marks.map(({ source, repliedMs }) => [source, round(repliedMs - seen.firstRequestMs)]),
    ),
  };
}

function fenceReasons(seen: CutObservation, lastReplyMs: number): string[] {
  const reasons: string[] = [];
  if (seen.confirmedMs === undefined || seen.confirmedMs > seen.firstRequestMs) {
    reasons.push("the application had not confirmed that it was quiet when the first mark was asked for");
  }
  if (seen.releasedMs === undefined || lastReplyMs > seen.releasedMs) {
    reasons.push("the fence was released before the last mark was in");
  }
  if (seen.heldThroughout === undefined) {
    reasons.push("the release was not answered, so nobody knows whether the application stayed quiet");
  } else if (!seen.heldThroughout) {
    reasons.push("the application says that it did not stay quiet until the release");
  }
  return reasons;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
