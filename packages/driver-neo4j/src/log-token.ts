import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { headerOf, logGone } from "./log-follower.ts";
import { logName } from "./log-position.ts";

/** A byte of a database's log: `offset` in the file of this version. */
export type LogByte = { logVersion: number; offset: number };

/** Digits of each number: the header keeps versions in six bytes, and no file comes near so many bytes. */
const DIGITS = 12;
const TOKEN = /^([0-9a-f]{12})([0-9a-f]{12})$/;

/** Tokens sort as the bytes follow one another. A closed file ends where the next one begins, at its byte 0. */
export function tokenOf({ logVersion, offset }: LogByte): string {
  return logVersion.toString(16).padStart(DIGITS, "0") + offset.toString(16).padStart(DIGITS, "0");
}

export function byteOf(token: string): LogByte {
  const [, version, offset] = TOKEN.exec(token) ?? [];
  if (version === undefined || offset === undefined) {
    throw new StillpointError("FORMAT_UNKNOWN", {
      what: "Cannot read a position in a Neo4j log",
      where: token,
      why: `it must be ${DIGITS} hexadecimal digits of the log file's number and ${DIGITS} of the byte in it`,
    });
  }
  return { logVersion: Number.parseInt(version, 16), offset: Number.parseInt(offset, 16) };
}

/**
 * What positions of this log are counted in. The store's id alone would not do: a store that was restored goes on under
 * its old id, from an earlier byte, with another history. It has been written to new files then, so the file that a
 * server makes once and never again tells them apart. Who copies a living store to another disk has a new stream, too.
 */
export async function logStream(logs: string, logVersion: number, neostore: string): Promise<string> {
  const header = await headerOf(logs, logVersion);
  if (header === undefined) throw logGone(join(logs, logName(logVersion)), "it is gone, or not begun");
  const { ino, birthtimeNs } = await stat(neostore, { bigint: true });
  return createHash("sha256").update(`${header.storeId} ${ino} ${birthtimeNs}`).digest("hex").slice(0, 32);
}
