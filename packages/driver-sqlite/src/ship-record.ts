/**
 * What is shipped: records one after the other, each the length of its head (4), the head as JSON, and a body of the length
 * that the head says. Tails and closed stretches are made of whole records.
 */
import type { FileHandle } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { logPosition } from "@stillpoint/contracts/log";
import { z } from "zod";
import { checksum, walAddress } from "./wal-address.ts";

const count = z.number().int().nonnegative();

export const recordHead = z.discriminatedUnion("is", [
  /** Frames of one database's log, as they stand in it; the last one commits. */
  z.object({
    is: z.literal("frames"),
    name: z.string(),
    /** The log's own header, in hex. */
    header: z.string().regex(/^[0-9a-f]{64}$/),
    /** How many frames of this generation lie before the first one here, and the checksum of the last of them. */
    first: count,
    previous: checksum,
    /** Of a generation's first frames: where the one before it ended. */
    follows: walAddress.optional(),
    count,
    bytes: count,
  }),
  /**
   * What so many commits made of one database's pages, each page once, as the last of them left it: the numbers of all pages
   * (4 bytes each, big-endian), then their bytes in the same order. Who has the database as it was at any moment of the
   * stretch, and writes these pages into it, has it as it was at its end.
   */
  z.object({
    is: z.literal("pages"),
    name: z.string(),
    pageSize: z.number().int().positive(),
    from: walAddress,
    /** Where each generation ended that was left on the way, in order. */
    ends: z.array(walAddress),
    to: walAddress,
    /** Of the last frame before `from`, where it is known, and of the last frame before `to`. */
    previous: checksum.optional(),
    last: checksum,
    /** How many pages the database had at the end. */
    pages: count,
    count,
    /** CRC-32 of the body. */
    crc: count,
    bytes: count,
  }),
  /** All databases were looked at: which have moved, and to where. */
  z.object({
    is: z.literal("look"),
    position: logPosition,
    /** Wall clock, in ms since the epoch. What was committed before it began is in it, what was after it ended is not. */
    beganAt: z.number(),
    endedAt: z.number(),
    databases: z.array(z.object({ name: z.string(), address: walAddress })),
    /** Databases that are not there any more. */
    gone: z.array(z.string()).default([]),
    bytes: z.literal(0),
  }),
]);
export type RecordHead = z.infer<typeof recordHead>;
export type FramesHead = Extract<RecordHead, { is: "frames" }>;
export type PagesHead = Extract<RecordHead, { is: "pages" }>;
export type LookHead = Extract<RecordHead, { is: "look" }>;

const LENGTH_BYTES = 4;
const HEAD_MOST_BYTES = 1 << 24;

export function encodeHead(head: RecordHead): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.byteLength);
  return Buffer.concat([length, json]);
}

/** The heads of a file of records, and where each one's body begins. */
export async function* readHeads(file: FileHandle, where: string): AsyncGenerator<{ head: RecordHead; at: number }> {
  const { size } = await file.stat();
  for (let at = 0; at < size; ) {
    const length = (await readExactly(file, at, LENGTH_BYTES, where)).readUInt32BE();
    if (length > HEAD_MOST_BYTES) throw unreadable(where, "a head is too long to be one");
    const json = await readExactly(file, at + LENGTH_BYTES, length, where);
    const head = parseHead(json, where);
    at += LENGTH_BYTES + length;
    if (at + head.bytes > size) throw unreadable(where, "it ends in the middle of a record");
    yield { head, at };
    at += head.bytes;
  }
}

export async function readExactly(file: FileHandle, at: number, length: number, where: string): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw unreadable(where, "it ends in the middle of a record");
    filled += bytesRead;
  }
  return bytes;
}

function parseHead(json: Buffer, where: string): RecordHead {
  try {
    return recordHead.parse(JSON.parse(json.toString("utf8")));
  } catch (error) {
    throw unreadable(where, error instanceof Error ? error.message : String(error));
  }
}

function unreadable(where: string, why: string): StillpointError {
  return new StillpointError("VERIFICATION_FAILED", { what: "Cannot read a shipped log of SQLite", where, why });
}
