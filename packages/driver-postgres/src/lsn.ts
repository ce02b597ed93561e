/** A position in the WAL, as PostgreSQL writes it: two hexadecimal halves, `0/3000148`. */
export type Lsn = bigint;

export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  const [, high, low] = match ?? [];
  if (high === undefined || low === undefined) throw new TypeError(`not a WAL position: ${text}`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Where the segment that holds `lsn` begins. */
export function segmentStart(lsn: Lsn, segmentBytes: number): Lsn {
  return lsn - (lsn % BigInt(segmentBytes));
}

/** The file name of the segment that holds `lsn`. */
export function segmentName(timeline: number, lsn: Lsn, segmentBytes: number): string {
  const number = lsn / BigInt(segmentBytes);
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  return [BigInt(timeline), number / perHigh, number % perHigh].map(hex8).join("");
}

/** The starts of the segments that hold the bytes from `from` up to, not including, `until`. */
export function segmentStarts(from: Lsn, until: Lsn, segmentBytes: number): Lsn[] {
  const starts: Lsn[] = [];
  for (let at = segmentStart(from, segmentBytes); at < until; at += BigInt(segmentBytes)) starts.push(at);
  return starts;
}

/** The name of the file that says where a timeline branched off. */
export function historyName(timeline: number): string {
  return `${hex8(BigInt(timeline))}.history`;
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
