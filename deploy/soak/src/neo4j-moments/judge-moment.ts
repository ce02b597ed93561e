/**
 * One write of the load; without `acknowledged` nobody knows whether it was committed. `txId` is of the bookmark that came with
 * the answer: the newest transaction by then, which is the write's own or one after it.
 */
export type GraphWrite = { worker: number; seq: number; askedMs: number; acknowledged?: { txId: number; ms: number } };

export type MomentTarget = { at: "moment"; ms: number } | { at: "transaction"; txId: number } | { at: "latest" };

export type RestoredGraph = {
  /** `worker/seq` of each write that is there. */
  writes: ReadonlySet<string>;
  sum: number;
  /** The store's own checks that did not pass. */
  failed: readonly string[];
};

export const nameOf = ({ worker, seq }: Pick<GraphWrite, "worker" | "seq">): string => `${worker}/${seq}`;

/** Pure: what is wrong with a graph that was restored to a target. */
export function judgeMoment(
  written: readonly GraphWrite[],
  target: MomentTarget,
  { writes, sum, failed }: RestoredGraph,
  expectedSum: number,
): string[] {
  const behindMs = firstBehind(written, target);
  const missing = written.filter((each) => mustBeThere(each, target) && !writes.has(nameOf(each)));
  const early = written.filter((each) => each.askedMs > behindMs && writes.has(nameOf(each)));
  // Each writer's are one after the other: what is before one that is there was committed before it.
  const last = new Map<number, number>();
  for (const each of written) {
    if (writes.has(nameOf(each))) last.set(each.worker, Math.max(each.seq, last.get(each.worker) ?? 0));
  }
  const skipped = written.filter(
    (each) => each.acknowledged !== undefined && each.seq < (last.get(each.worker) ?? 0) && !writes.has(nameOf(each)),
  );
  const known = new Set(written.map(nameOf));
  const invented = [...writes].filter((name) => !known.has(name));
  const some = (what: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${names.length} writes ${what}: ${names.slice(0, 5).join(", ")}`];
  return [
    ...some("were committed before the target and are missing", missing.map(nameOf)),
    ...some("were begun after the target and are there", early.map(nameOf)),
    ...some("are missing before later ones of their writer", skipped.map(nameOf)),
    ...some("are there that nobody made", invented),
    ...(sum === expectedSum ? [] : [`the sum is ${sum} instead of ${expectedSum}`]),
    ...failed.map((each) => `a check of the store failed: ${each}`),
  ];
}

function mustBeThere({ acknowledged }: GraphWrite, target: MomentTarget): boolean {
  if (acknowledged === undefined || target.at === "latest") return false;
  return target.at === "moment" ? acknowledged.ms < target.ms : acknowledged.txId <= target.txId;
}

/** What was asked for after this was committed behind the target. */
function firstBehind(written: readonly GraphWrite[], target: MomentTarget): number {
  if (target.at === "latest") return Number.POSITIVE_INFINITY;
  if (target.at === "moment") return target.ms;
  const behind = written.flatMap(({ acknowledged }) =>
    acknowledged !== undefined && acknowledged.txId >= target.txId ? [acknowledged.ms] : [],
  );
  return behind.reduce((first, ms) => Math.min(first, ms), Number.POSITIVE_INFINITY);
}

/** Pure: how old the newest write is that came back, when everything was lost at `lostMs`. */
export function lossMs(written: readonly GraphWrite[], writes: ReadonlySet<string>, lostMs: number): number {
  const back = written.flatMap((each) => (writes.has(nameOf(each)) ? [each.acknowledged?.ms ?? each.askedMs] : []));
  const lost = written.filter((each) => each.acknowledged !== undefined && !writes.has(nameOf(each)));
  if (lost.length === 0) return 0;
  return lostMs - Math.max(0, ...back);
}
