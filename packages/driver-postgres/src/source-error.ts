import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import { DatabaseError } from "pg";

export type Attempt = {
  /** What was attempted: "Cannot read the source's WAL". */
  what: string;
  /** Host, port and database, never the password. */
  where: string;
  signal: AbortSignal;
};

const LOST_WAL_HINT =
  "if the slot was invalidated because the server ran out of max_slot_wal_keep_size, raise that setting";

/** PostgreSQL's SQLSTATE codes that say more than "it failed"; the manual's appendix A lists them. */
const MEANINGS: Record<string, { code: ErrorCode; hint?: string }> = {
  "28P01": { code: "SOURCE_DENIED", hint: "check the user in the url and the secret that `password` points to" },
  "28000": {
    code: "SOURCE_DENIED",
    hint: "allow this user in the server's pg_hba.conf, for its databases and for `replication`; where only encrypted connections are allowed, add ?sslmode=require to the url; where it asks for a client's certificate, &sslcert= and &sslkey= too",
  },
  "42501": { code: "SOURCE_DENIED" },
  "3D000": { code: "SOURCE_UNSUPPORTED", hint: "name an existing database in the url" },
  "53300": {
    code: "SOURCE_UNREACHABLE",
    hint: "raise max_wal_senders or max_connections, or wait until some are free",
  },
  "53400": { code: "SOURCE_UNREACHABLE", hint: "raise max_replication_slots, or drop slots that nobody uses" },
  "55006": {
    code: "SOURCE_UNREACHABLE",
    hint: "another process ships this source, or the server has not noticed yet that one is gone: that takes at most a minute",
  },
  "57P03": { code: "SOURCE_UNREACHABLE" },
  "58P01": { code: "SOURCE_LOST", hint: LOST_WAL_HINT },
  "55000": { code: "SOURCE_LOST", hint: LOST_WAL_HINT },
  // What was copied does not match its own checksums: trying again cannot help.
  XX002: { code: "VERIFICATION_FAILED" },
  XX001: { code: "VERIFICATION_FAILED", hint: "the source's own data files are damaged: see its server log" },
};

/** Anything that a connection, or a query on it, threw. Whatever is not the server's answer is a lost source. */
export function toSourceError(error: unknown, { what, where, signal }: Attempt): StillpointError {
  if (error instanceof StillpointError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (signal.aborted)
    return new StillpointError("CANCELLED", { what, where, why: "it was asked to stop", cause: error });
  if (error instanceof DatabaseError && error.code !== undefined) {
    const meaning = MEANINGS[error.code];
    const lost = error.code.startsWith("57P") || error.code.startsWith("08");
    const code = meaning?.code ?? (lost ? "SOURCE_LOST" : "INTERNAL");
    return new StillpointError(code, { what, where, why, hint: meaning?.hint ?? error.hint, cause: error });
  }
  return new StillpointError("SOURCE_LOST", { what, where, why, cause: error });
}
