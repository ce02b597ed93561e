import type { FileHandle } from "node:fs/promises";

/** Pages by their numbers, in the order in which they were written. */
export type WrittenPages = ReadonlyMap<number, Buffer>;

/** Fewer than the system takes in one write. */
const MOST_BUFFERS = 256;

/** Writes each page in its place, those that lie side by side in one step. */
export async function writePages(database: FileHandle, pages: WrittenPages, pageSize: number): Promise<void> {
  let run: { at: number; buffers: Buffer[] } = { at: 0, buffers: [] };
  for (const number of [...pages.keys()].sort((a, b) => a - b)) {
    const [at, page] = [(number - 1) * pageSize, pages.get(number)];
    if (page === undefined) continue;
    const isNext = at === run.at + run.buffers.length * pageSize && run.buffers.length < MOST_BUFFERS;
    if (!isNext) {
      await writeRun(database, run.at, run.buffers);
      run = { at, buffers: [] };
    }
    run.buffers.push(page);
  }
  await writeRun(database, run.at, run.buffers);
}

async function writeRun(database: FileHandle, at: number, buffers: readonly Buffer[]): Promise<void> {
  if (buffers.length === 0) return;
  const { bytesWritten } = await database.writev([...buffers], at);
  const whole = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (bytesWritten === whole) return;
  // A write may take less than it was given.
  const rest = Buffer.concat(buffers).subarray(bytesWritten);
  await writeRun(database, at + bytesWritten, [rest]);
}
