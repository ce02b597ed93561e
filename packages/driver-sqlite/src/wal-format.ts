/** The write-ahead log's format, as SQLite documents it: a header of 32 bytes, then frames of 24 bytes and a page. */
export const HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 24;
const MAGIC_LITTLE = 0x377f0682;
const MAGIC_BIG = 0x377f0683;
const VERSION = 3007000;

export type Checksum = readonly [number, number];

export type WalHeader = {
  pageSize: number;
  salts: Checksum;
  /** Whether checksums are over big-endian words; it depends on the machine that wrote it. */
  bigEndian: boolean;
  checksum: Checksum;
};

/** Undefined: there is no valid log in the file, which is what SQLite then says too. */
export function parseWalHeader(bytes: Buffer): WalHeader | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const magic = bytes.readUInt32BE(0);
  if (magic !== MAGIC_LITTLE && magic !== MAGIC_BIG) return undefined;
  const bigEndian = magic === MAGIC_BIG;
  const checksum = checksumOver(bytes.subarray(0, 24), [0, 0], bigEndian);
  if (bytes.readUInt32BE(4) !== VERSION || !isEqual(checksum, readPair(bytes, 24))) return undefined;
  return { pageSize: bytes.readUInt32BE(8), salts: readPair(bytes, 16), bigEndian, checksum };
}

/** A header of our own, little-endian. */
export function makeWalHeader(pageSize: number, salts: Checksum): { bytes: Buffer; header: WalHeader } {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC_LITTLE, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.writeUInt32BE(pageSize, 8);
  writePair(bytes, 16, salts);
  const checksum = checksumOver(bytes.subarray(0, 24), [0, 0], false);
  writePair(bytes, 24, checksum);
  return { bytes, header: { pageSize, salts, bigEndian: false, checksum } };
}

export function frameBytes(pageSize: number): number {
  return FRAME_HEADER_BYTES + pageSize;
}

/** Checks a frame that follows one with that checksum; its own checksum if it is valid, and whether it commits. */
export function checkFrame(
  frame: Buffer,
  header: WalHeader,
  previous: Checksum,
): { checksum: Checksum; commits: boolean } | undefined {
  if (!isEqual(readPair(frame, 8), header.salts)) return undefined;
  const checksum = frameChecksum(frame, previous, header.bigEndian);
  if (!isEqual(checksum, readPair(frame, 16))) return undefined;
  return { checksum, commits: frame.readUInt32BE(4) !== 0 };
}

/** Makes a frame, in place, follow one with that checksum in a log with that header; its new checksum. */
export function adoptFrame(frame: Buffer, header: WalHeader, previous: Checksum): Checksum {
  writePair(frame, 8, header.salts);
  const checksum = frameChecksum(frame, previous, header.bigEndian);
  writePair(frame, 16, checksum);
  return checksum;
}

function frameChecksum(frame: Buffer, previous: Checksum, bigEndian: boolean): Checksum {
  const upToPage = checksumOver(frame.subarray(0, 8), previous, bigEndian);
  return checksumOver(frame.subarray(FRAME_HEADER_BYTES), upToPage, bigEndian);
}

function checksumOver(bytes: Buffer, [first, second]: Checksum, bigEndian: boolean): Checksum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [a, b] = [first, second];
  for (let at = 0; at < bytes.byteLength; at += 8) {
    a = (a + view.getUint32(at, !bigEndian) + b) >>> 0;
    b = (b + view.getUint32(at + 4, !bigEndian) + a) >>> 0;
  }
  return [a, b];
}

export function readPair(bytes: Buffer, at: number): Checksum {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
}

function writePair(bytes: Buffer, at: number, [first, second]: Checksum): void {
  bytes.writeUInt32BE(first, at);
  bytes.writeUInt32BE(second, at + 4);
}

export function isEqual(a: Checksum, b: Checksum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
