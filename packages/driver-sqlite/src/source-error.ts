import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";

/** SQLite's primary result codes that mean something to a person. */
const MEANINGS: Record<number, { code: ErrorCode; why: string; hint?: string }> = {
  5: {
    code: "SOURCE_UNREACHABLE",
    why: "it is locked by the application",
    hint: "an application in exclusive locking mode lets nobody else read",
  },
  8: {
    code: "SOURCE_DENIED",
    why: "reading it would need a change: the agent may not write there, or a crashed writer left a journal",
    hint: "open it once with the application, and let the agent write in its directory",
  },
  11: { code: "VERIFICATION_FAILED", why: "the source itself is damaged" },
  13: { code: "DISK_FULL", why: "the disk is full" },
  14: {
    code: "SOURCE_UNREACHABLE",
    why: "it cannot be opened",
    hint: "is the file there, and may the agent write in its directory, where SQLite keeps its -shm file?",
  },
  26: { code: "SOURCE_UNSUPPORTED", why: "it is no SQLite database, or an encrypted one" },
};

export function sourceError(
  failure: { message: string; errcode?: number | undefined },
  where: string,
): StillpointError {
  const meaning = failure.errcode === undefined ? undefined : MEANINGS[failure.errcode & 0xff];
  return new StillpointError(meaning?.code ?? "SOURCE_LOST", {
    what: "Cannot read an SQLite database",
    where,
    why: meaning === undefined ? failure.message : `${meaning.why} (${failure.message})`,
    hint: meaning?.hint,
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
