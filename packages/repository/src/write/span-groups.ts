import type { Span } from "../workers/tasks.ts";

/** Chunks go to a worker in groups of about so many bytes: fewer messages for small ones. */
const GROUP_BYTES = 1_048_576;
const GROUP_CHUNKS = 256;

/** Pure: chunks of these lengths, which lie one after the other from `start` on. */
export function spansOf(lengths: readonly number[], start: number): Span[] {
  let at = start;
  return lengths.map((length) => {
    const span = { start: at, length };
    at += length;
    return span;
  });
}

/** Pure: in the order given, each group a worker's next task. */
export function spanGroups<Each extends Span>(spans: readonly Each[]): Each[][] {
  const groups: Each[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const span of spans) {
    const last = groups.at(-1);
    if (last === undefined || bytes + span.length > GROUP_BYTES || last.length >= GROUP_CHUNKS) {
      groups.push([span]);
      bytes = span.length;
    } else {
      last.push(span);
      bytes += span.length;
    }
  }
  return groups;
}
