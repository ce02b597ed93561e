import type { Span } from "../workers/tasks.ts";

/** Chunks go to a worker in groups of about so many bytes: fewer messages for small ones. */
const GROUP_BYTES = 1_048_576;
const GROUP_CHUNKS = 256;

/** Pure: chunks of these lengths, which lie one after the other from `start` on. */
export function spanGroups(lengths: readonly number[], start: number): Span[][] {
  const groups: Span[][] = [];
  let group: Span[] = [];
  let bytes = 0;
  let at = start;
  for (const length of lengths) {
    if (group.length > 0 && (bytes + length > GROUP_BYTES || group.length >= GROUP_CHUNKS)) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push({ start: at, length });
    bytes += length;
    at += length;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}
