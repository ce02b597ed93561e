import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Lsn, segmentName, segmentStart } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";

const PAGE_BYTES = 8192n;
/** Of a segment's first page, and of all others. */
const LONG_HEADER_BYTES = 40n;
const HEADER_BYTES = 24n;
/** Of a record; what it begins with is its length. */
const RECORD_HEADER_BYTES = 24;

/**
 * Whether a log that is there up to `detail.until` may end at `end`: there, or inside the record that begins at `end`, for
 * what a server has flushed need not end with a record.
 */
export async function endsInside(directory: string, end: Lsn, detail: MarkDetail): Promise<boolean> {
  const { until, timeline, segmentBytes } = detail;
  const begins = recordAt(end, segmentBytes);
  if (begins >= until) return true;
  const path = join(directory, "pg_wal", segmentName(timeline, begins, segmentBytes));
  const bytes = await lengthAt(path, Number(begins - segmentStart(begins, segmentBytes)));
  if (bytes === undefined) return false;
  // Headers of the pages that it goes over make it longer still: it is at least so long.
  return bytes >= RECORD_HEADER_BYTES && begins + BigInt(bytes) > until;
}

/** Where the next record begins: at eight bytes, behind the header of its page. */
function recordAt(end: Lsn, segmentBytes: number): Lsn {
  const aligned = ((end + 7n) / 8n) * 8n;
  if (aligned % PAGE_BYTES !== 0n) return aligned;
  return aligned + (segmentStart(aligned, segmentBytes) === aligned ? LONG_HEADER_BYTES : HEADER_BYTES);
}

async function lengthAt(path: string, offset: number): Promise<number | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, offset);
    return bytesRead === 4 ? buffer.readUInt32LE() : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
