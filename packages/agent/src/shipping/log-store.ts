import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { LogSink } from "@stillpoint/driver/ship";

/** What a shipper asks of the vault. Each is one try, under the shipper's lease; given twice, it is kept once. */
export type LogStore = {
  /** The newest place up to which the log is held without a hole. Has some patience, which `signal` ends. */
  held: (signal: AbortSignal) => Promise<LogPosition | undefined>;
  putClosed: (range: LogRange, tar: AsyncIterable<Uint8Array>) => Promise<void>;
  hasClosed: (range: LogRange) => Promise<boolean>;
  putTail: (range: LogRange, bytes: Uint8Array) => Promise<void>;
  recordGap: LogSink["gap"];
};
