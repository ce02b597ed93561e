import type { Lsn } from "./lsn.ts";

/** A record's beginning: enough to know of what kind it is. */
export type WalRecord = { lsn: Lsn; manager: number; info: number; bytes: number; data: Buffer };

const PAGE_HEADER_BYTES = 24;
const LONG_HEADER_BYTES = 40;
const RECORD_HEADER_BYTES = 24;
const CONTINUES = 0x0001;
const LONG = 0x0002;

/**
 * The records that begin in one segment, as far as it goes; those that end in the next are cut there. One whose first 24
 * bytes are torn between two segments is left out: of a segment alone nobody can tell what it is.
 */
export function* walRecords(segment: Buffer, start: Lsn, pageBytes: number): Generator<WalRecord, void, void> {
  let at = 0;
  const headerAt = (page: number) => (segment.readUInt16LE(page + 2) & LONG ? LONG_HEADER_BYTES : PAGE_HEADER_BYTES);
  /** So many bytes of what goes on over pages' headers, from `at` on. */
  const take = (wanted: number): Buffer => {
    const parts: Buffer[] = [];
    for (let left = wanted; left > 0 && at < segment.length; ) {
      if (at % pageBytes === 0) {
        if (segment.readUInt16LE(at) === 0) break;
        at += headerAt(at);
      }
      const end = Math.min(at + left, at - (at % pageBytes) + pageBytes, segment.length);
      parts.push(segment.subarray(at, end));
      left -= end - at;
      at = end;
    }
    return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
  };
  if (segment.length < LONG_HEADER_BYTES || segment.readUInt16LE(0) === 0) return;
  if (segment.readUInt16LE(2) & CONTINUES) {
    take(segment.readUInt32LE(16));
    at = align(at);
  }
  while (at < segment.length) {
    // A record begins behind a page's header, never in it.
    const lsn = start + BigInt(at % pageBytes === 0 ? at + headerAt(at) : at);
    const header = take(RECORD_HEADER_BYTES);
    const bytes = header.length < RECORD_HEADER_BYTES ? 0 : header.readUInt32LE(0);
    // Behind the last record there are zeros, and behind a switch to the next segment too.
    if (bytes < RECORD_HEADER_BYTES) return;
    const data = take(bytes - RECORD_HEADER_BYTES);
    yield { lsn, bytes, info: header.readUInt8(16), manager: header.readUInt8(17), data };
    at = align(at);
  }
}

function align(at: number): number {
  return Math.ceil(at / 8) * 8;
}
