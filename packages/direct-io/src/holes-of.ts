import type { SystemCalls } from "./system-calls.ts";

/** Below it a hole costs more to speak of than to read. */
const LEAST_BYTES = 65_536;
/** What more there are is read as zeros. */
const MOST_HOLES = 4096;

/** The holes of an open file of that size, in order; the file's position moves. */
export function holesOf(
  { nextData, nextHole }: Pick<SystemCalls, "nextData" | "nextHole">,
  fd: number,
  size: number,
): { offset: number; length: number }[] {
  const holes: { offset: number; length: number }[] = [];
  for (let at = 0; at < size && holes.length < MOST_HOLES; ) {
    const hole = nextHole(fd, at);
    if (hole === undefined || hole >= size) break;
    const end = Math.min(nextData(fd, hole) ?? size, size);
    if (end <= hole) break; // somebody writes: what is read decides
    if (end - hole >= LEAST_BYTES) holes.push({ offset: hole, length: end - hole });
    at = end;
  }
  return holes;
}
