import { readSync } from "node:fs";
import { nameOf } from "./open-chunk.ts";
import type { SameResult, SameTask, WorkerSetup } from "./tasks.ts";

/** A file that is shorter, or cannot be read, is not the same: it is written. */
export function findSame(setup: WorkerSetup, { stretches, epoch }: SameTask): SameResult {
  const memory = Buffer.allocUnsafeSlow(Math.max(0, ...stretches.map(({ length }) => length)));
  return {
    same: stretches.map(({ fd, at, length, name, type }) => {
      let filled = 0;
      while (filled < length) {
        const read = readSync(fd, memory, filled, length - filled, at + filled);
        if (read === 0) return false;
        filled += read;
      }
      return nameOf(setup, memory.subarray(0, length), epoch, type).equals(name);
    }),
  };
}
