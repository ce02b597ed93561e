/** Reading of a tar's header blocks: pure, for the few kinds that Qdrant's writer makes (ustar, GNU, pax). */

export const BLOCK = 512;

const CHECKSUM = { from: 148, to: 156 } as const;
const PREFIX = { from: 345, to: 500 } as const;
const SPARSE_CONTINUED = { header: 482, extension: 504 } as const;

export function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

export function headerType(header: Buffer): string {
  return String.fromCharCode(header[156] ?? 0);
}

/** Octal, or base 256 for what octal cannot hold. */
export function headerSize(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(BigInt(`0x${field.subarray(4).toString("hex")}`));
  return parseOctal(field);
}

export function hasValidChecksum(header: Buffer): boolean {
  const stated = parseOctal(header.subarray(CHECKSUM.from, CHECKSUM.to));
  const blanks = 8 * 0x20;
  const sum = header.reduce(
    (total, byte, at) => (at >= CHECKSUM.from && at < CHECKSUM.to ? total : total + byte),
    blanks,
  );
  return stated === sum;
}

/** Whether a further block of the map of a sparse file follows. */
export function isSparseContinued(block: Buffer, kind: keyof typeof SPARSE_CONTINUED): boolean {
  return block[SPARSE_CONTINUED[kind]] === 1;
}

export function nameIn(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const prefix = isPosix(header) ? text(header.subarray(PREFIX.from, PREFIX.to)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function isPosix(header: Buffer): boolean {
  return header.subarray(257, 263).toString("latin1") === "ustar\0";
}

/** `<length> path=<value>\n` among the records of a pax header. */
export function paxPath(records: string): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(records)?.[1];
}

function parseOctal(field: Buffer): number {
  const digits = /[0-7]+/.exec(field.toString("latin1"))?.[0];
  return digits === undefined ? 0 : Number.parseInt(digits, 8);
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? field.byteLength : end).toString("utf8");
}

const NAME_BYTES = 100;

/** The header blocks of an entry (names too long for one included) with another, shorter name. */
export function renameEntry(header: Buffer, name: string): Buffer {
  const encoded = Buffer.from(name);
  if (encoded.byteLength >= NAME_BYTES)
    throw new TypeError(`unreachable: ${name} is longer than a shard's files are called`);
  let at = 0;
  for (let type = headerType(header); type === "L"; type = headerType(header.subarray(at)))
    at += BLOCK + Math.ceil(headerSize(header.subarray(at)) / BLOCK) * BLOCK;
  const blocks = Buffer.from(header.subarray(at));
  blocks.fill(0, 0, NAME_BYTES);
  encoded.copy(blocks);
  if (isPosix(blocks)) blocks.fill(0, PREFIX.from, PREFIX.to);
  blocks.fill(" ", CHECKSUM.from, CHECKSUM.to);
  const sum = blocks.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
  blocks.write(`${sum.toString(8).padStart(6, "0")}\0 `, CHECKSUM.from, "latin1");
  return blocks;
}
