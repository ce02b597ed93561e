import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import { type LogByte, placeOf } from "./log-token.ts";

/** What the system database's log grew by: bytes that begin at a byte of one of its files. */
export type SystemPiece = { at: LogByte; bytes: Buffer };

/** File and offset, eight bytes each, before what the system database's log grew by. */
const HEAD_BYTES = 16;

/** A tail: what the database's log grew by, and behind it what the system database's did. */
export function joinTail(bytes: Buffer, system: SystemPiece | undefined): Buffer {
  if (system === undefined) return bytes;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64BE(BigInt(system.at.logVersion), 0);
  head.writeBigUInt64BE(BigInt(system.at.offset), 8);
  return Buffer.concat([bytes, head, system.bytes]);
}

/** The parts of a tail. The range tells how long the first one is. */
export function splitTail(
  { from, to }: Pick<LogRange, "from" | "to">,
  tail: Uint8Array,
): { at: LogByte; bytes: Uint8Array; system: SystemPiece | undefined } {
  const [begin, end] = [placeOf(from), placeOf(to)];
  const size = end.offset - begin.offset;
  const rest = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).subarray(Math.max(0, size));
  const isTail = begin.logVersion === end.logVersion && size >= 0 && tail.byteLength >= size;
  if (!isTail || (rest.length > 0 && rest.length <= HEAD_BYTES)) {
    throw new StillpointError("FORMAT_UNKNOWN", {
      what: "Cannot read a tail of a Neo4j log",
      where: `${from} to ${to}`,
      why: `it has ${tail.byteLength} bytes, and its range is of ${size}`,
    });
  }
  const system =
    rest.length === 0
      ? undefined
      : {
          at: { logVersion: Number(rest.readBigUInt64BE(0)), offset: Number(rest.readBigUInt64BE(8)) },
          bytes: rest.subarray(HEAD_BYTES),
        };
  return { at: { logVersion: begin.logVersion, offset: begin.offset }, bytes: tail.subarray(0, size), system };
}
