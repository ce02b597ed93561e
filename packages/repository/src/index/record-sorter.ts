import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";

/** Chunk name 32, type 1, offset 4, length 4 (as in a pack's list), then pack number 4, position 4. */
export const RECORD_LENGTH = 49;
const PARTS = 256;
const BLOCK = 680 * RECORD_LENGTH;
/** A number holds 53 bits exactly: 32 of the name, and the record's place among up to two million. */
const PLACES = 2 ** 21;

/**
 * Brings records into the order of their names with little memory: laid by in a file by the first byte of the name, which
 * is as good as random, and then sorted part by part. In a tree on disk, ten million names in order cost a tenth of what
 * they cost as they come.
 */
export function recordSorter(path: string) {
  const file = openSync(path, "wx+", 0o600);
  rmSync(path); // it goes with the process, however that ends
  const open = Array.from({ length: PARTS }, () => ({ bytes: Buffer.allocUnsafeSlow(BLOCK), used: 0 }));
  const blocks: number[][] = Array.from({ length: PARTS }, () => []);
  let end = 0;

  const lengthOf = (part: number) => (blocks[part] ?? []).length * BLOCK + (open[part]?.used ?? 0);

  function readPart(part: number, into: Buffer): Buffer {
    const last = open[part];
    const written = blocks[part] ?? [];
    const all = into.subarray(0, lengthOf(part));
    written.forEach((at, i) => {
      readSync(file, all, i * BLOCK, BLOCK, at);
    });
    last?.bytes.copy(all, written.length * BLOCK, 0, last.used);
    return all;
  }

  function* inOrder(records: Buffer, keys: Float64Array): Generator<Buffer> {
    const count = records.length / RECORD_LENGTH;
    // More than that in a part are billions of chunks; they come in several runs, which is slower and right.
    for (let from = 0; from < count; from += PLACES) {
      const run = keys.subarray(0, Math.min(PLACES, count - from));
      for (let i = 0; i < run.length; i++) run[i] = records.readUInt32BE((from + i) * RECORD_LENGTH + 1) * PLACES + i;
      run.sort();
      for (const key of run) {
        const at = (from + (key % PLACES)) * RECORD_LENGTH;
        yield records.subarray(at, at + RECORD_LENGTH);
      }
    }
  }

  return {
    add(record: Buffer): void {
      const part = open[record[0] ?? 0];
      if (part === undefined) return;
      if (part.used === BLOCK) {
        writeSync(file, part.bytes, 0, BLOCK, end);
        blocks[record[0] ?? 0]?.push(end);
        end += BLOCK;
        part.used = 0;
      }
      part.bytes.set(record, part.used);
      part.used += RECORD_LENGTH;
    },
    /** Part by part; those of a part in order, but for names whose first five bytes are equal. */
    *parts(): Generator<Iterable<Buffer>> {
      // One memory for all of them: each is sorted when the one before was taken.
      const longest = open.reduce((most, _, part) => Math.max(most, lengthOf(part)), 0);
      const records = Buffer.allocUnsafeSlow(longest);
      const keys = new Float64Array(Math.min(longest / RECORD_LENGTH, PLACES));
      for (let part = 0; part < PARTS; part++) yield inOrder(readPart(part, records), keys);
    },
    [Symbol.dispose](): void {
      closeSync(file);
    },
  };
}
