import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { segmentsOf } from "./layout.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { walRecords } from "./wal-records.ts";

const TABLESPACE = 5;
const CREATE = 0x00;
const KIND = 0xf0;
/** Every PostgreSQL that we know writes its WAL in such pages unless it was built otherwise; then nothing is found. */
const PAGE_BYTES = 8192;

/** What recovery goes through, as far as it is known: where a time lies in the log, it says when it is there. */
export type Replayed = { from: Lsn; until: Lsn };

export function replayedBy({ start, until, target, lsn }: MarkDetail): Replayed {
  return { from: start, until: target.by === "lsn" && lsn < until ? lsn : until };
}

export type MadeTablespace = { lsn: Lsn; location: string };

/** Tablespaces that replay would make at the source's own places. */
export function tablespacesMade(segment: Buffer, start: Lsn): MadeTablespace[] {
  const made: MadeTablespace[] = [];
  for (const { lsn, manager, info, data } of walRecords(segment, start, PAGE_BYTES)) {
    if (manager !== TABLESPACE || (info & KIND) !== CREATE) continue;
    // The tablespace's object id, then the path up to a zero.
    const path = mainData(data).subarray(4);
    const end = path.indexOf(0);
    const location = path.toString("utf8", 0, end < 0 ? path.length : end);
    // Of one that lies in its data directory the path is empty.
    if (location !== "") made.push({ lsn, location });
  }
  return made;
}

/** Headers of a record without pages: replication origin, outer transaction, then main data with its length in one byte or four. */
const HEADER_BYTES: Readonly<Record<number, number>> = { 253: 3, 252: 5, 255: 2, 254: 5 };

function mainData(data: Buffer): Buffer {
  for (let at = 0; at < data.length; ) {
    const kind = data.readUInt8(at);
    const bytes = HEADER_BYTES[kind];
    if (bytes === undefined) break;
    at += bytes;
    if (kind >= 254) return data.subarray(at);
  }
  return Buffer.alloc(0);
}

/**
 * Replaying the creation of a tablespace makes a directory at the source's path, and on the source's own machine that is the
 * live server's. No setting keeps PostgreSQL from it, so such a log is not replayed.
 */
export function refuseForeignPlaces(segment: Buffer, start: Lsn, { from, until }: Replayed): void {
  const [first] = tablespacesMade(segment, start).filter(({ lsn }) => lsn >= from && lsn < until);
  if (first === undefined) return;
  throw new StillpointError("PATH_UNSAFE", {
    what: "Refused to replay a PostgreSQL log",
    where: first.location,
    why: `at ${formatLsn(first.lsn)} it makes a tablespace there, outside of the destination`,
    hint: `restore to a moment before it (lsn:${formatLsn(first.lsn)}), or from a base or point that was made after it`,
  });
}

/** Looks through all WAL that a laid-out directory's recovery is to replay. */
export async function checkPlaces(directory: string, detail: MarkDetail): Promise<void> {
  const replayed = replayedBy(detail);
  for (const { path, start } of segmentsOf(detail)) {
    if (start >= replayed.until) return;
    const segment = await readFile(join(directory, path)).catch((error: NodeJS.ErrnoException) => {
      // What is missing is refused by name when the directory is laid out.
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (segment !== undefined) refuseForeignPlaces(segment, start, replayed);
  }
}
