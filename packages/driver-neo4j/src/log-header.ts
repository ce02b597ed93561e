import { StillpointError } from "@stillpoint/contracts/errors";

export const LOG_HEADER_BYTES = 128;
/** The one layout of log files that is read here; 10 and later wrap everything in envelopes. */
const FORMAT = 9;
const STORE_ID_BYTES = 64;

export type LogHeader = {
  logVersion: number;
  /** The last transaction before this file. */
  lastTxId: number;
  /** Tells stores apart: the same in every log and checkpoint file of one. */
  storeId: string;
};

/** The first bytes of a transaction log; undefined while the server has not written them all. */
export function readLogHeader(bytes: Buffer, where: string): LogHeader | undefined {
  if (bytes.length < LOG_HEADER_BYTES || bytes[0] === 0) return undefined;
  if (bytes[0] !== FORMAT) {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot read a transaction log",
      where,
      why: `its files are of format ${bytes[0]}, and only format ${FORMAT} (Neo4j 5.26) is known`,
    });
  }
  return {
    logVersion: bytes.readUIntBE(2, 6),
    lastTxId: Number(bytes.readBigInt64BE(8)),
    storeId: bytes.toString("hex", 24, 24 + STORE_ID_BYTES),
  };
}
