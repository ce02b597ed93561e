import type { JournalEntry } from "./journal.ts";

/** What a restored store shows against the journal; all empty where the cut was true. */
export type Bounds = {
  /** Acknowledged before the fence and not there. */
  missing: number[];
  /** Replaced or removed before the fence, and there again. */
  returned: number[];
  /** Issued after the fence was confirmed, and there. */
  late: number[];
};

/**
 * Judges the sequence numbers that a restored store holds by the journal around one fence. What lies in the store from
 * before the journal began (the seeding) is judged only where a write of the journal ended it.
 */
export function judge(entries: readonly JournalEntry[], fenceId: string, present: ReadonlySet<number>): Bounds {
  const at = entries.findIndex((entry) => entry.event === "confirmed" && entry.fenceId === fenceId);
  if (at < 0) throw new Error(`the journal knows no confirmed fence ${fenceId}`);
  const acknowledged = new Set<number>();
  const issued = new Map<number, number[]>();
  const late: number[] = [];
  for (const [position, entry] of entries.entries()) {
    if (entry.event === "acknowledged" && position < at) acknowledged.add(entry.seq);
    if (entry.event !== "issued") continue;
    const { seq, replaces, removes } = entry.write;
    if (position < at)
      issued.set(
        seq,
        [replaces, removes?.seq].filter((ended) => ended !== undefined),
      );
    // A journal that was carried over names a write twice: the first time counts.
    else if (!issued.has(seq)) late.push(seq);
  }
  const ended = new Set([...issued].filter(([seq]) => acknowledged.has(seq)).flatMap(([, gone]) => gone));
  const mayBeEnded = new Set([...issued.values()].flat());
  return {
    missing: [...acknowledged].filter((seq) => !present.has(seq) && !mayBeEnded.has(seq)),
    returned: [...ended].filter((seq) => present.has(seq)),
    late: late.filter((seq) => present.has(seq)),
  };
}
