import type { Lsn } from "./lsn.ts";

/** Messages inside the copy stream of START_REPLICATION. */
export const XLOG_DATA = 0x77; // w
export const XLOG_HEADER_BYTES = 25;
export const KEEPALIVE = 0x6b; // k

/** Well below the wal_sender_timeout that our replication connections are opened with. */
export const STATUS_INTERVAL_MS = 5_000;

/** Zero `durable` leaves the slot where it is. Applied nowhere; the time is for lag figures only. */
export function statusUpdate({ written, durable }: { written: Lsn; durable: Lsn }): Buffer {
  const update = Buffer.alloc(34);
  update.write("r");
  update.writeBigUInt64BE(written, 1);
  update.writeBigUInt64BE(durable, 9);
  return update;
}
