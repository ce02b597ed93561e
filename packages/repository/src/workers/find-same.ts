import { nameOf } from "./open-chunk.ts";
import { readFully } from "./read-range.ts";
import type { SameResult, SameTask, WorkerSetup } from "./tasks.ts";

/** A file that is shorter, or cannot be read, is not the same: it is written. */
export function findSame(setup: WorkerSetup, { stretches, epoch }: SameTask): SameResult {
  const memory = Buffer.allocUnsafeSlow(Math.max(0, ...stretches.map(({ length }) => length)));
  return {
    same: stretches.map(({ fd, at, length, name, type }) => {
      const bytes = readFully(fd, memory.subarray(0, length), at);
      return bytes.length === length && nameOf(setup, bytes, epoch, type).equals(name);
    }),
  };
}
