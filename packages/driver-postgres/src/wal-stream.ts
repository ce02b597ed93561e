import type { Connection } from "./connection.ts";
import { copyStream } from "./copy-stream.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { KEEPALIVE, STATUS_INTERVAL_MS, statusUpdate, XLOG_DATA, XLOG_HEADER_BYTES } from "./wal-protocol.ts";

export type WalRequest = {
  slot: string;
  timeline: number;
  /** A segment's start. */
  from: Lsn;
  /** The first byte that is not wanted; the server has flushed up to here. */
  until: Lsn;
};

/**
 * The WAL's bytes in order, exactly from `from` to `until`. The slot does not move, so that the same bytes can be had
 * again when their upload fails or a cut is taken anew.
 */
export async function* walStream(connection: Connection, request: WalRequest): AsyncGenerator<Buffer, void, void> {
  const { slot, timeline, from, until } = request;
  const command = `START_REPLICATION SLOT ${slot} PHYSICAL ${formatLsn(from)} TIMELINE ${timeline}`;
  const stream = copyStream(connection, command);
  let at = from;
  const keepAlive = () => stream.send(statusUpdate({ written: at, durable: 0n }));
  // By a timer and not in answer to the server's: while the upload is slow, what the server asks lies unread.
  const timer = setInterval(keepAlive, STATUS_INTERVAL_MS);
  try {
    for await (const message of stream.messages()) {
      if (message[0] === KEEPALIVE) {
        if (message[17] === 1) keepAlive();
        continue;
      }
      if (message[0] !== XLOG_DATA) throw new TypeError(`replication sent a message of an unknown type, ${message[0]}`);
      const start = message.readBigUInt64BE(1);
      if (start !== at) throw new TypeError(`replication sent ${formatLsn(start)} where ${formatLsn(at)} was due`);
      const data = message.subarray(XLOG_HEADER_BYTES);
      const wanted = until - at;
      const bytes = BigInt(data.length) > wanted ? data.subarray(0, Number(wanted)) : data;
      at += BigInt(bytes.length);
      yield bytes;
      if (at === until) return;
    }
    throw connection.translate(`the server ended its WAL at ${formatLsn(at)}, before ${formatLsn(until)}`);
  } finally {
    clearInterval(timer);
    stream.sendDone();
    await stream.drain();
  }
}
