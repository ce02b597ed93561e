import { stat } from "node:fs/promises";
import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "@stillpoint/driver/disk-error";
import { looksEncrypted } from "./looks-encrypted.ts";

const DAMAGED_HINT = "stillpoint points lists what can be restored; sqlite3 '.recover' reads what is left of it";

async function isGone(path: string): Promise<boolean> {
  return await stat(path).then(
    () => false,
    (error: unknown) => codeOf(error) === "ENOENT",
  );
}

/** SQLite's primary result codes that mean something to a person. */
const MEANINGS: Record<number, { code: ErrorCode; why: string; hint?: string }> = {
  5: {
    code: "SOURCE_LOCKED",
    why: "it is locked by the application",
    hint: "an application in exclusive locking mode lets nobody else read: PRAGMA locking_mode=NORMAL",
  },
  8: {
    code: "SOURCE_DENIED",
    why: "reading it would need a change: the agent may not write there, or a crashed writer left a journal",
    hint: "open it once with the application, and let the agent write in its directory",
  },
  11: { code: "SOURCE_DAMAGED", why: "the source itself is damaged", hint: DAMAGED_HINT },
  13: { code: "DISK_FULL", why: "the disk is full" },
  14: {
    code: "SOURCE_UNREACHABLE",
    why: "it cannot be opened",
    hint: "is the file there, and may the agent write in its directory, where SQLite keeps its -shm file?",
  },
  26: { code: "SOURCE_UNSUPPORTED", why: "it is no SQLite database" },
};
const CANNOT_OPEN = 14;
const NO_DATABASE = 26;

export async function sourceError(
  failure: { message: string; errcode?: number | undefined },
  where: string,
): Promise<StillpointError> {
  const code = failure.errcode === undefined ? undefined : failure.errcode & 0xff;
  if (code === CANNOT_OPEN && (await isGone(where))) return sourceVanished(where, new Error(failure.message));
  if (code === NO_DATABASE && (await looksEncrypted(where))) return sourceEncrypted(where);
  const meaning = code === undefined ? undefined : MEANINGS[code];
  return new StillpointError(meaning?.code ?? "SOURCE_LOST", {
    what: "Cannot read an SQLite database",
    where,
    why: meaning === undefined ? failure.message : `${meaning.why} (${failure.message})`,
    hint: meaning?.hint,
  });
}

function sourceEncrypted(where: string): StillpointError {
  return new StillpointError("SOURCE_ENCRYPTED", {
    what: "Cannot read an SQLite database",
    where,
    why: "its pages are encrypted (SQLCipher, SEE): SQLite itself cannot read them",
    hint: "capture it with a files source while the application is quiet, or let the application export it",
  });
}

/** Throws nothing away: what SQLite found wrong with the source is told in its own words. */
export function sourceDamaged(where: string, problems: readonly string[]): StillpointError {
  return new StillpointError("SOURCE_DAMAGED", {
    what: "An SQLite database is damaged in the source",
    where,
    why: problems.slice(0, 3).join("; "),
    hint: `look at it with: sqlite3 '${where}' 'PRAGMA integrity_check'; ${DAMAGED_HINT}`,
  });
}

export function sourceChanged(where: string, why: string): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "The capture of an SQLite database has lost its place",
    where,
    why,
    hint: "the next run makes a new base",
  });
}

export function sourceVanished(where: string, cause?: unknown): StillpointError {
  return new StillpointError("SOURCE_VANISHED", {
    what: "An SQLite database is not there any more",
    where,
    why: "its file was deleted, renamed or unmounted",
    hint: "if that is meant, take it out of the plan; else bring it back: stillpoint points, stillpoint restore",
    cause,
  });
}
