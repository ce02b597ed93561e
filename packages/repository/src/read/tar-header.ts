import type { TarHeader } from "@stillpoint/driver/tar-entry";
import { z } from "zod";

const BLOCK = 512;
const TYPE_FLAGS: Partial<Record<NonNullable<TarHeader["type"]>, string>> = { file: "0", symlink: "2", directory: "5" };
const PAX_FLAG = "x";

const paxKeys = z.record(z.string(), z.string());

type Fields = {
  name: string;
  flag: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  link: string;
};

/** A number that its field cannot hold stands in the pax header; the field is zero then. */
function octal(value: number, digits: number): string {
  const text = Math.max(0, Math.floor(value)).toString(8);
  return (text.length > digits ? "0" : text).padStart(digits, "0");
}

function ustar({ name, flag, mode, uid, gid, size, mtime, link }: Fields): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100, "utf8");
  block.write(octal(mode & 0o7777, 7), 100);
  block.write(octal(uid, 7), 108);
  block.write(octal(gid, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(mtime, 11), 136);
  block.write("        ", 148);
  block.write(flag, 156);
  block.write(link, 157, 100, "utf8");
  block.write("ustar\0".concat("00"), 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function isPlain(text: string): boolean {
  return Buffer.byteLength(text) === text.length && text.length < 100;
}

export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/**
 * The header blocks of an entry, a pax header before the plain one where that cannot hold all. Own code, because the
 * library's encoder is not exported and its stream takes 25 µs an entry; the tests read the result with the library.
 */
export function tarHeader(header: TarHeader): Buffer {
  const { name, size = 0, mode = 0o600, uid = 0, gid = 0, mtime, type = "file", linkname = "" } = header;
  const pax = {
    ...(isPlain(name) ? {} : { path: name }),
    ...(isPlain(linkname) ? {} : { linkpath: linkname }),
    ...paxKeys.parse(header.pax ?? {}),
  };
  const common = { uid, gid, mtime: (mtime?.getTime() ?? 0) / 1000 };
  const main = ustar({ ...common, name, flag: TYPE_FLAGS[type] ?? "0", mode, size, link: linkname });
  const records = Object.entries(pax);
  if (records.length === 0) return main;
  const body = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""), "utf8");
  const head = { ...common, name: "PaxHeader", flag: PAX_FLAG, mode: 0o644, size: body.length, link: "" };
  return Buffer.concat([ustar(head), body, Buffer.alloc(paddingOf(body.length)), main]);
}

/** Two blocks of zeros close a tar. */
export const TAR_END = new Uint8Array(2 * BLOCK);
