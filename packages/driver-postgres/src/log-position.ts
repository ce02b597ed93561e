import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { Lsn } from "./lsn.ts";

/** A place in the WAL: positions are counted along a timeline. */
export type WalPosition = { timeline: number; at: Lsn };

/** As the log's positions are written: digits of one length, so that they sort as they follow one another. */
export function logPositionOf({ timeline, at }: WalPosition): LogPosition {
  return { stream: streamOf(timeline), at: placeOf(at) };
}

export function streamOf(timeline: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, "0");
}

export function placeOf(at: Lsn): string {
  return at.toString(16).toUpperCase().padStart(16, "0");
}

/** A stretch of one timeline. */
export function logRangeOf(timeline: number, from: Lsn, to: Lsn): LogRange {
  return { stream: streamOf(timeline), from: placeOf(from), to: placeOf(to) };
}

export function walPositionOf({ stream, at }: LogPosition): WalPosition {
  if (!/^[0-9A-F]{8}$/.test(stream) || !/^[0-9A-F]{16}$/.test(at)) {
    throw new TypeError(`not a position of PostgreSQL's log: ${stream} ${at}`);
  }
  return { timeline: Number.parseInt(stream, 16), at: BigInt(`0x${at}`) };
}
