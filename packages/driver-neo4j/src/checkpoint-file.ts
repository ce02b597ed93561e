import { crc32c } from "@node-rs/crc32";
import { LOG_HEADER_BYTES } from "./log-header.ts";
import { ENTRY_VERSION } from "./log-scanner.ts";

const RECORD_BYTES = 232;
const CHECKPOINT = 0x09;

export type Checkpoint = {
  /** Recovery begins here: the oldest position whose effects the store's files may not hold. */
  logVersion: number;
  offset: number;
  /** The first log file that recovery reads. */
  oldestLogVersion: number;
  txId: number;
  /** Where the record ends in its file: the next one begins here. */
  end: number;
};

/**
 * The checkpoints in a `checkpoint.N` file, up to the first record that is not whole and right: the server appends to
 * the file, so what a reader sees last may be half a record.
 */
export function readCheckpoints(bytes: Buffer): Checkpoint[] {
  const checkpoints: Checkpoint[] = [];
  for (let at = LOG_HEADER_BYTES; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const record = bytes.subarray(at, at + RECORD_BYTES);
    if (record[0] !== ENTRY_VERSION || record[1] !== CHECKPOINT) break;
    if (crc32c(record.subarray(0, RECORD_BYTES - 4)) !== record.readUInt32LE(RECORD_BYTES - 4)) break;
    const number = (offset: number) => Number(record.readBigInt64LE(offset));
    checkpoints.push({
      oldestLogVersion: Math.min(number(2), number(18)),
      logVersion: number(18),
      offset: number(26),
      txId: number(106),
      end: at + RECORD_BYTES,
    });
  }
  return checkpoints;
}
