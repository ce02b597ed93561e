import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Codes of JetStream's API that we decide by. */
export const API = {
  TEMPORARILY_UNAVAILABLE: 10008,
  CONSUMER_NOT_FOUND: 10014,
  NO_MESSAGE: 10037,
  MESSAGE_TO_DELETE_NOT_FOUND: 10057,
  STREAM_EXISTS_OTHERWISE: 10058,
  STREAM_NOT_FOUND: 10059,
  WRONG_LAST_SEQUENCE: 10071,
  MAX_PER_SUBJECT: 10077,
  CONSUMER_EXISTS_OTHERWISE: 10148,
  WRONG_LAST_SEQUENCE_UNKNOWN: 10164,
} as const;

/** The connection broke while an answer was awaited. */
export class BrokenError extends Error {
  constructor() {
    super("the connection to NATS broke");
  }
}

export function hasApiCode(error: unknown, ...codes: number[]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

function isNoResponders(error: unknown): boolean {
  if (error instanceof errors.NoRespondersError) return true;
  if (error instanceof errors.RequestError && error.isNoResponders()) return true;
  // A publish that no stream answers is reported under this misleading name; the class is not exported.
  return error instanceof Error && error.message === "jetstream is not enabled";
}

/** The server may be restarting or between leaders: the same call may succeed in a moment. */
export function isTransient(error: unknown): boolean {
  return (
    isNoResponders(error) ||
    error instanceof errors.TimeoutError ||
    error instanceof errors.ConnectionError ||
    error instanceof BrokenError ||
    hasApiCode(error, API.TEMPORARILY_UNAVAILABLE)
  );
}

export function isClosed(error: unknown): boolean {
  return error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError;
}

/** The one place where NATS's errors become ours. */
export function toBusError(error: unknown, what: string, where?: string): StillpointError {
  if (error instanceof StillpointError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (isNoResponders(error)) {
    return new StillpointError("UNREACHABLE", {
      what,
      where,
      why: "nobody answers",
      hint: "is the service that takes this running, and connected to the same NATS? `stillpoint status` shows it",
      cause: error,
    });
  }
  if (error instanceof errors.TimeoutError) {
    return new StillpointError("TIMEOUT", { what, where, why: "no answer in time", cause: error });
  }
  if (error instanceof BrokenError || error instanceof errors.ConnectionError || isClosed(error)) {
    return new StillpointError("UNREACHABLE", { what, where, why, cause: error });
  }
  if (
    error instanceof errors.AuthorizationError ||
    error instanceof errors.UserAuthenticationExpiredError ||
    error instanceof errors.PermissionViolationError
  ) {
    return new StillpointError("BUS_DENIED", {
      what,
      where,
      why,
      hint: "give this process NATS credentials that permit it (STILLPOINT_NATS_TOKEN, _NKEY or _CREDS)",
      cause: error,
    });
  }
  if (error instanceof errors.InvalidArgumentError) {
    return new StillpointError("INVALID_REQUEST", { what, where, why, cause: error });
  }
  const code = error instanceof JetStreamApiError ? ` (JetStream ${error.code})` : "";
  return new StillpointError("INTERNAL", { what, where, why: `${why}${code}`, cause: error });
}
