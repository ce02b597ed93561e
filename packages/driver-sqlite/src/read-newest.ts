import type { FileHandle } from "node:fs/promises";
import type { PageWindow } from "./page-window.ts";
import { sourceChanged } from "./source-error.ts";
import { checkFrame, frameBytes, HEADER_BYTES, readPair, type WalHeader } from "./wal-format.ts";

const BLOCK_BYTES = 1 << 20;
/** Frames between two that are wanted which are read rather than skipped. */
const SKIP_FRAMES = 8;
const CHECKSUM_AT = 16;

/** Of so many frames, where the newest version of each page stands, in order. */
export function newestFrames(pages: Iterable<number>, first: number): number[] {
  const newest = new Map<number, number>();
  let frame = first;
  for (const page of pages) newest.set(page, frame++);
  return [...newest.values()].sort((a, b) => a - b);
}

export type FrameRun = { from: number; to: number /** Those that are wanted. */; frames: number[] };

/** Stretches of frames that hold those which are wanted, none longer than a block. */
export function* runsOf(wanted: readonly number[], mostFrames: number): Generator<FrameRun> {
  let run: FrameRun | undefined;
  for (const frame of wanted) {
    if (run !== undefined && frame - run.to < SKIP_FRAMES && frame - run.from < mostFrames) {
      run.to = frame + 1;
      run.frames.push(frame);
      continue;
    }
    if (run !== undefined) yield run;
    run = { from: frame, to: frame + 1, frames: [frame] };
  }
  if (run !== undefined) yield run;
}

/** What `readFrames` reads into, made once: a collector that must see to a MiB of memory each time is most of the work. */
export function scratchFor(pageSize: number): Buffer {
  return Buffer.allocUnsafeSlow(BLOCK_BYTES + 2 * frameBytes(pageSize));
}

/** Reads frames of one generation into a window; each is checked against the checksum of the frame before it. */
export async function readFrames(
  wal: FileHandle,
  header: WalHeader,
  wanted: readonly number[],
  { window, where, scratch }: { window: PageWindow; where: string; scratch: Buffer },
): Promise<void> {
  const length = frameBytes(header.pageSize);
  const isWanted = new Set(wanted);
  for (const { from, to } of runsOf(wanted, Math.max(1, Math.floor(BLOCK_BYTES / length)))) {
    // With the frame before, whose checksum the first one goes on from.
    const begin = Math.max(0, from - 1);
    const { bytesRead } = await wal.read(scratch, 0, (to - begin) * length, HEADER_BYTES + begin * length);
    const frameAt = (frame: number) => scratch.subarray((frame - begin) * length, (frame - begin + 1) * length);
    for (let frame = from; frame < to; frame += 1) {
      if (!isWanted.has(frame)) continue;
      const bytes = frameAt(frame);
      const before = frame === 0 ? header.checksum : readPair(frameAt(frame - 1), CHECKSUM_AT);
      const isThere = (frame - begin + 1) * length <= bytesRead;
      if (!isThere || checkFrame(bytes, header, before) === undefined) {
        throw sourceChanged(where, "a committed frame of its log is not as its checksum says");
      }
      bytes.copy(window.place(bytes.readUInt32BE(0)), 0, length - header.pageSize);
    }
  }
}
