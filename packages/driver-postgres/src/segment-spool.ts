import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Lsn } from "./lsn.ts";

const READ_BYTES = 1_048_576;

/** The open segment's bytes with us: they are shipped as they come, and once more as a whole when it closes. */
export type SegmentSpool = AsyncDisposable & {
  /** The spool is the segment's from now on. */
  begin: (start: Lsn) => Promise<void>;
  append: (bytes: Buffer) => Promise<void>;
  /** What was appended, from one position up to another; not to be kept beyond the next call. */
  read: (from: Lsn, to: Lsn) => Promise<Buffer>;
  /** The segment as a file: zeros stand where nothing was appended yet. */
  whole: () => Promise<Readable>;
};

/** The segments of nearly every server, of which one is held in memory: on disk its bytes would be written once more than needed. */
const IN_MEMORY_BYTES = 16_777_216;

export async function segmentSpool(directory: string, segmentBytes: number): Promise<SegmentSpool> {
  return segmentBytes <= IN_MEMORY_BYTES ? memorySpool(segmentBytes) : await fileSpool(directory, segmentBytes);
}

function memorySpool(segmentBytes: number): SegmentSpool {
  const bytes = Buffer.alloc(segmentBytes);
  let begins = 0n;
  let length = 0;
  return {
    async begin(start) {
      bytes.fill(0, 0, length);
      begins = start;
      length = 0;
    },
    async append(more) {
      bytes.set(more, length);
      length += more.length;
    },
    async read(from, to) {
      const [start, end] = [Number(from - begins), Number(to - begins)];
      if (start < 0 || end > length) throw new RangeError(`the spool has ${length} bytes, and not ${start} to ${end}`);
      return bytes.subarray(start, end);
    },
    whole: async () => Readable.from(pieces(bytes), { objectMode: false }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += READ_BYTES) yield bytes.subarray(at, at + READ_BYTES);
}

async function fileSpool(directory: string, segmentBytes: number): Promise<SegmentSpool> {
  const file = await open(join(directory, "open-segment"), "w+", 0o600);
  let begins = 0n;
  let length = 0;
  return {
    async begin(start) {
      await file.truncate(0);
      begins = start;
      length = 0;
    },
    async append(bytes) {
      await file.writev([bytes], length);
      length += bytes.length;
    },
    async read(from, to) {
      const bytes = Buffer.alloc(Number(to - from));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, Number(from - begins));
      if (bytesRead !== bytes.length) throw new RangeError(`the spool has ${bytesRead} bytes of ${bytes.length}`);
      return bytes;
    },
    async whole() {
      await file.truncate(segmentBytes);
      // Not the file's own stream: each of those listens for the end of a file that is never closed.
      return Readable.from(readWhole(file, segmentBytes), { objectMode: false });
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function* readWhole(file: FileHandle, segmentBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < segmentBytes; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) throw new RangeError(`the spool ends at ${at} of ${segmentBytes} bytes`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
