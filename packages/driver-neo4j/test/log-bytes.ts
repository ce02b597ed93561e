import { crc32c } from "@node-rs/crc32";

const STORE = Buffer.alloc(64, 7);

/** The header of a log file, as the server writes it. */
export function logHeader(logVersion: number, lastTxId: number, store: Uint8Array = STORE): Buffer {
  const bytes = Buffer.alloc(128);
  bytes.writeUIntBE(logVersion, 2, 6);
  bytes[0] = 9;
  bytes.writeBigInt64BE(BigInt(lastTxId), 8);
  bytes.writeBigInt64BE(BigInt(lastTxId), 16);
  bytes.set(store, 24);
  return bytes;
}

/** Transactions as they stand in a log, `from` to `to`; each with a body of so many bytes. */
export function transactions(
  from: number,
  to: number,
  checksum = 0xdead5eed,
  bodyBytes = 60,
): Buffer & { last: number } {
  const parts: Buffer[] = [];
  let last = checksum;
  for (let txId = from; txId <= to; txId += 1) {
    const start = Buffer.alloc(34);
    start.set([0x14, 0x01]);
    start.writeBigInt64LE(BigInt(1_700_000_000_000 + txId), 2);
    start.writeBigInt64LE(BigInt(txId - 1), 10);
    start.writeUInt32LE(last, 18);
    start.writeBigInt64LE(BigInt(txId), 22);
    const command = Buffer.alloc(2 + bodyBytes, txId);
    command.set([0x14, 0x03]);
    const commit = Buffer.alloc(22);
    commit.set([0x14, 0x05]);
    commit.writeBigInt64LE(BigInt(txId), 2);
    commit.writeBigInt64LE(BigInt(1_700_000_000_000 + txId), 10);
    last = crc32c(Buffer.concat([start, command, commit.subarray(0, 18)]));
    commit.writeUInt32LE(last, 18);
    parts.push(start, command, commit);
  }
  return Object.assign(Buffer.concat(parts), { last });
}
