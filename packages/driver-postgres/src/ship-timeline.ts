import { Readable } from "node:stream";
import type { LogRange } from "@stillpoint/contracts/log";
import type { LogSink } from "@stillpoint/driver/ship";
import { logPositionOf, logRangeOf } from "./log-position.ts";
import { historyName, type Lsn, segmentName, segmentStart } from "./lsn.ts";
import type { SegmentSpool } from "./segment-spool.ts";
import type { Timeline } from "./timeline.ts";

/** A flush gives what waits in pieces of at most so much, since a tail is held in memory. */
const TAIL_MOST_BYTES = 4_194_304n;

/**
 * A segment that fills slowly is closed as far as it is after so many flushes, an hour of them by default: what they stored may
 * go then, and a restore reads one object instead of them. When it is full it is closed as a whole, as every other.
 */
export const TAILS_MOST = 720;

/** Cuts one timeline's WAL into segments and tails. */
export type TimelineShipper = {
  /** Everything before it has come. */
  received: () => Lsn;
  /** Takes the next bytes; resolves when the segments that they close are durable. */
  take: (bytes: Buffer) => Promise<void>;
  /** Makes durable what has come. */
  flush: () => Promise<void>;
  /** The timeline ends where the bytes have ended: its last segment is closed as it is. */
  end: () => Promise<void>;
};

export type ShipperOptions = Timeline & {
  /** What is durable already; the bytes begin with the segment that holds it. */
  from: Lsn;
  segmentBytes: number;
  spool: SegmentSpool;
  sink: LogSink;
  now: () => number;
  /** Everything before it is durable. */
  onDurable: (at: Lsn) => void;
};

export async function timelineShipper(options: ShipperOptions): Promise<TimelineShipper> {
  const { timeline, parent, history, segmentBytes, spool, sink } = options;
  let start = segmentStart(options.from, segmentBytes);
  let received = start;
  /** A timeline begins with its first segment: the bytes that it has from its parent are the same there, in another file. */
  const first = parent === undefined ? undefined : segmentStart(parent.at, segmentBytes);
  let durable = options.from;
  let tails = 0;
  await spool.begin(start);

  const rangeOf = (from: Lsn, to: Lsn): LogRange => ({
    ...logRangeOf(timeline, from, to),
    ...(parent !== undefined && from === first ? { after: logPositionOf(parent) } : {}),
  });
  const isDurable = (at: Lsn) => {
    durable = at;
    if (at > options.from) options.onDurable(at);
  };
  const close = async () => {
    const metadata = { mode: 0o600, mtimeMs: options.now(), hint: "content" } as const;
    const name = segmentName(timeline, start, segmentBytes);
    await sink.closed(rangeOf(start, received), async (tree) => {
      if (first === start && history !== undefined) {
        const body = Buffer.from(history);
        const path = `pg_wal/${historyName(timeline)}`;
        await tree.add({ ...metadata, type: "file", path, size: body.length }, Readable.from([body]));
      }
      const entry = { ...metadata, type: "file", path: `pg_wal/${name}`, size: segmentBytes } as const;
      await tree.add(entry, await spool.whole());
    });
    if (received > durable) isDurable(received);
    tails = 0;
  };

  return {
    received: () => received,
    async take(bytes) {
      let rest = bytes;
      while (rest.length > 0) {
        const room = Number(start + BigInt(segmentBytes) - received);
        const piece = rest.subarray(0, room);
        rest = rest.subarray(piece.length);
        await spool.append(piece);
        received += BigInt(piece.length);
        if (piece.length < room) continue;
        await close();
        start = received;
        await spool.begin(start);
      }
    },
    async flush() {
      // The timeline begins in one piece that holds more than its parent does: a restore that enters it asks for its first
      // segment and none of the parent's there, and takes what begins in the middle of it, or ends before the branch, for the end.
      if (parent !== undefined && durable <= parent.at) {
        if (received <= parent.at) return;
        if (received - start > TAIL_MOST_BYTES) return await close();
        durable = start;
      }
      while (durable < received) {
        if (tails >= TAILS_MOST) return await close();
        const most = durable + TAIL_MOST_BYTES;
        const to = received > most ? most : received;
        await sink.tail(rangeOf(durable, to), await spool.read(durable, to));
        tails += 1;
        isDurable(to);
      }
    },
    async end() {
      if (received > start) await close();
    },
  };
}
