import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Lsn } from "./lsn.ts";

/** The open segment's bytes on our own disk: they are shipped as they come, and once more as a whole when it closes. */
export type SegmentSpool = AsyncDisposable & {
  /** The spool is the segment's from now on. */
  begin: (start: Lsn) => Promise<void>;
  append: (bytes: Buffer) => Promise<void>;
  /** What was appended, from one position up to another. */
  read: (from: Lsn, to: Lsn) => Promise<Buffer>;
  /** The segment as a file: zeros stand where nothing was appended yet. */
  whole: () => Promise<Readable>;
};

export async function segmentSpool(directory: string, segmentBytes: number): Promise<SegmentSpool> {
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
      return file.createReadStream({ start: 0, autoClose: false });
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
