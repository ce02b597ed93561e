import type { SourceLog } from "./source-log.ts";

type Log = Omit<SourceLog, "damaged">;

/**
 * Pure: a log without the streams that a stream does not come from: what it is restored along. Of those that it comes from all
 * is there; where each was left for the next one, they say themselves.
 */
export function alongStream<Held extends Log>(log: Held, stream: string): Held {
  const along = new Set([stream]);
  const links = [...log.closed, ...log.tails].map(({ range }) => range);
  for (let known = 0; known < along.size; ) {
    known = along.size;
    for (const { stream: each, after } of links) if (after !== undefined && along.has(each)) along.add(after.stream);
  }
  const isAlong = ({ range }: { range: { stream: string } }) => along.has(range.stream);
  return {
    ...log,
    fulls: log.fulls.filter(isAlong),
    closed: log.closed.filter(isAlong),
    tails: log.tails.filter(isAlong),
  };
}

/** Pure: the stream that the newest base stands in. */
export function streamOfNewestBase({ fulls }: Pick<Log, "fulls">): string | undefined {
  return fulls.toSorted((a, b) => a.storedMs - b.storedMs).at(-1)?.range.stream;
}
