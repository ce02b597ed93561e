import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { headerOf, logGone } from "./log-follower.ts";
import { logName } from "./log-position.ts";

/** A byte of a database's log: `offset` in the file of this version. */
export type LogByte = { logVersion: number; offset: number };

/** A place in what is shipped: a byte of the database's log, and how far the system database's log goes along with it. */
export type LogPlace = LogByte & { system: LogByte };

/** Nothing of the system database's log: before all of it. */
export const NO_SYSTEM: LogByte = { logVersion: 0, offset: 0 };

/** Digits of version and offset: the header keeps versions in six bytes, and no file comes near so many bytes. */
const DIGITS = 12;
/** The system database's log is of users and rights: files of it are few and small. */
const SYSTEM_DIGITS = { version: 6, offset: 10 };
/** Logs that were shipped without the system database's have places without it. */
const TOKEN = /^([0-9a-f]{12})([0-9a-f]{12})(?:([0-9a-f]{6})([0-9a-f]{10}))?$/;

/** Tokens sort as the bytes follow one another. A closed file ends where the next one begins, at its byte 0. */
export function tokenOf({ logVersion, offset, system }: LogPlace): string {
  const digits = (value: number, count: number) => value.toString(16).padStart(count, "0");
  return (
    digits(logVersion, DIGITS) +
    digits(offset, DIGITS) +
    digits(system.logVersion, SYSTEM_DIGITS.version) +
    digits(system.offset, SYSTEM_DIGITS.offset)
  );
}

export function placeOf(token: string): LogPlace {
  const [, version, offset, ...system] = TOKEN.exec(token) ?? [];
  if (version === undefined || offset === undefined) {
    throw new StillpointError("FORMAT_UNKNOWN", {
      what: "Cannot read a position in a Neo4j log",
      where: token,
      why: `it must be ${DIGITS} hexadecimal digits of the log file's number and ${DIGITS} of the byte in it`,
    });
  }
  const [systemVersion = "0", systemOffset = "0"] = system;
  const number = (digits: string) => Number.parseInt(digits, 16);
  return {
    logVersion: number(version),
    offset: number(offset),
    system: { logVersion: number(systemVersion), offset: number(systemOffset) },
  };
}

/**
 * What positions of this log are counted in. The store's id alone would not do: a store that was restored goes on under
 * its old id, from an earlier byte, with another history. It has been written to new files then, so the file that a
 * server makes once and never again tells them apart: the database's, and the system database's. Who copies a living
 * store to another disk has a new stream, too.
 */
export async function logStream(logs: string, logVersion: number, neostores: readonly string[]): Promise<string> {
  const header = await headerOf(logs, logVersion);
  if (header === undefined) throw logGone(join(logs, logName(logVersion)), "it is gone, or not begun");
  const hash = createHash("sha256").update(header.storeId);
  for (const neostore of neostores) {
    const { ino, birthtimeNs } = await stat(neostore, { bigint: true });
    hash.update(` ${ino} ${birthtimeNs}`);
  }
  return hash.digest("hex").slice(0, 32);
}
