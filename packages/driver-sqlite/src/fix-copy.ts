import { closeSync, fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";

const BLOCK_BYTES = 1 << 20;
/** The smallest page there is: what differs is found in pieces of this size. */
const PIECE_BYTES = 512;

/**
 * Makes a copy equal to the file, reading both and writing what differs. Gives up when the budget is spent: the reason is
 * the answer. Closes the copy; the file's own descriptor stays open, for the locks' sake.
 */
export function fixCopy(
  file: number,
  copy: number,
  budget: { ms: number; bytes: number },
  monotonicMs: () => number,
): string | undefined {
  const started = monotonicMs();
  const { size } = fstatSync(file);
  const [live, held] = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)];
  let changed = 0;
  try {
    for (let at = 0; at < size; ) {
      if (monotonicMs() - started > budget.ms) return `comparing it took longer than ${budget.ms} ms`;
      const length = readSync(file, live, 0, BLOCK_BYTES, at);
      const there = readSync(copy, held, 0, BLOCK_BYTES, at);
      if (length === 0) break;
      if (length !== there || !live.subarray(0, length).equals(held.subarray(0, there))) {
        changed += writeChanges(copy, at, live.subarray(0, length), held.subarray(0, there));
        if (changed > budget.bytes) return `more than ${budget.bytes} bytes of it changed`;
      }
      at += length;
    }
    ftruncateSync(copy, size);
    return undefined;
  } finally {
    closeSync(copy);
  }
}

function writeChanges(copy: number, at: number, live: Buffer, held: Buffer): number {
  let changed = 0;
  for (let from = 0; from < live.byteLength; from += PIECE_BYTES) {
    const piece = live.subarray(from, from + PIECE_BYTES);
    if (piece.equals(held.subarray(from, from + PIECE_BYTES))) continue;
    writeSync(copy, piece, 0, piece.byteLength, at + from);
    changed += piece.byteLength;
  }
  return changed;
}
