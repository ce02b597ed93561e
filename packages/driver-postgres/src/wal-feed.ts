import { z } from "zod";
import type { Connection } from "./connection.ts";
import { copyStream } from "./copy-stream.ts";
import type { WalPosition } from "./log-position.ts";
import { formatLsn, type Lsn, parseLsn } from "./lsn.ts";
import { KEEPALIVE, STATUS_INTERVAL_MS, statusUpdate, XLOG_DATA, XLOG_HEADER_BYTES } from "./wal-protocol.ts";

/**
 * `newest`: so far the server had flushed when it sent this. `ping`: the server waits for our word; one that shuts down waits
 * for what it has sent to be durable.
 */
export type WalEvent = { type: "wal"; bytes: Buffer; newest: Lsn } | { type: "ping" };

/** A timeline's WAL as it is flushed, without an end unless the server has left the timeline. Its connection ends with it. */
export type WalFeed = AsyncDisposable & {
  events: AsyncGenerator<WalEvent, void, void>;
  /** Everything before it is durable with us: the slot moves there. A feed that is closed tells nobody. */
  confirm: (durable: Lsn) => void;
  /** Everything before it has come. */
  received: () => Lsn;
  /** For how long the server has said nothing to one who listens. */
  silentMs: () => number;
  /** After the last event: the timeline that the server went on with, and where. */
  following: () => WalPosition | undefined;
  /** Has the server end its side, so that the slot is free and what was confirmed is heard. */
  close: () => Promise<void>;
};

export type FeedRequest = { slot: string; from: WalPosition; durable: Lsn | undefined; monotonicMs: () => number };

/** Where the server stood when it sent a piece of WAL, behind the message's type and the piece's own position. */
const SERVER_END = 9;

const next = z.tuple([z.coerce.number().int().positive(), z.string().transform(parseLsn)]);

/** What is `durable` already is confirmed again and again, so that the slot never moves past it. */
export function walFeed(connection: Connection, { slot, from, durable, monotonicMs }: FeedRequest): WalFeed {
  const command = `START_REPLICATION SLOT ${slot} PHYSICAL ${formatLsn(from.at)} TIMELINE ${from.timeline}`;
  const stream = copyStream(connection, command, { both: true });
  let at = from.at;
  let confirmed = durable ?? 0n;
  let heardAt = monotonicMs();
  let isListening = true;
  let isClosed = false;
  const tell = () => stream.send(statusUpdate({ written: at, durable: confirmed }));
  // By a timer and not in answer to the server's: while an upload is slow, what the server asks lies unread.
  const timer = setInterval(tell, STATUS_INTERVAL_MS);
  if (durable !== undefined) tell();
  async function* events(): AsyncGenerator<WalEvent, void, void> {
    try {
      for await (const message of stream.messages()) {
        heardAt = monotonicMs();
        if (message[0] === KEEPALIVE) {
          if (message[17] !== 1) continue;
          isListening = false;
          yield { type: "ping" };
          tell();
          [heardAt, isListening] = [monotonicMs(), true];
          continue;
        }
        if (message[0] !== XLOG_DATA) throw new TypeError(`replication sent a message of type ${message[0]}`);
        const start = message.readBigUInt64BE(1);
        if (start !== at) throw new TypeError(`replication sent ${formatLsn(start)} where ${formatLsn(at)} was due`);
        const bytes = message.subarray(XLOG_HEADER_BYTES);
        at += BigInt(bytes.length);
        isListening = false;
        yield { type: "wal", bytes, newest: message.readBigUInt64BE(SERVER_END) };
        [heardAt, isListening] = [monotonicMs(), true];
      }
    } finally {
      clearInterval(timer);
    }
  }
  return {
    events: events(),
    confirm(lsn) {
      confirmed = lsn;
      if (!isClosed) tell();
    },
    received: () => at,
    silentMs: () => (isListening ? monotonicMs() - heardAt : 0),
    following() {
      const row = stream.rows[0];
      if (row === undefined) return undefined;
      const [timeline, begins] = next.parse(row);
      return { timeline, at: begins };
    },
    async close() {
      clearInterval(timer);
      [isListening, isClosed] = [false, true];
      stream.sendDone();
      await stream.drain();
      await connection[Symbol.asyncDispose]();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      [isListening, isClosed] = [false, true];
      await connection[Symbol.asyncDispose]();
    },
  };
}
