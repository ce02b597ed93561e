import { z } from "zod";

/**
 * Every error a person or a program can meet, declared once. `retry: "backoff"` means that the same request may succeed
 * later without anybody changing anything. `exit` is the process exit code, `http` the REST status.
 */
export const ERROR_CODES = {
  INVALID_REQUEST: { retry: "never", exit: 2, http: 400 },
  PLAN_INVALID: { retry: "never", exit: 2, http: 422 },
  CONFIG_INVALID: { retry: "never", exit: 2, http: 422 },
  PLAN_UNKNOWN: { retry: "never", exit: 5, http: 404 },
  POINT_UNKNOWN: { retry: "never", exit: 5, http: 404 },
  BACKUP_UNKNOWN: { retry: "never", exit: 5, http: 404 },
  RUN_UNKNOWN: { retry: "never", exit: 5, http: 404 },
  NOT_FOUND: { retry: "never", exit: 5, http: 404 },
  REPOSITORY_MISSING: { retry: "never", exit: 5, http: 503 },
  REPOSITORY_EXISTS: { retry: "never", exit: 6, http: 409 },
  FORMAT_UNKNOWN: { retry: "never", exit: 4, http: 503 },
  KEY_WRONG: { retry: "never", exit: 4, http: 503 },
  KEY_UNREADABLE: { retry: "never", exit: 4, http: 503 },
  KEY_DENIED: { retry: "never", exit: 4, http: 503 },
  KEY_UNREACHABLE: { retry: "backoff", exit: 7, http: 503 },
  ALREADY_RUNNING: { retry: "never", exit: 6, http: 409 },
  CONFLICT: { retry: "never", exit: 6, http: 409 },
  DESTINATION_NOT_EMPTY: { retry: "never", exit: 4, http: 409 },
  PATH_UNSAFE: { retry: "never", exit: 4, http: 422 },
  TAR_INVALID: { retry: "never", exit: 1, http: 422 },
  TICKET_INVALID: { retry: "never", exit: 4, http: 403 },
  FORBIDDEN: { retry: "never", exit: 4, http: 403 },
  LEASE_LOST: { retry: "never", exit: 1, http: 409 },
  BASE_GONE: { retry: "never", exit: 1, http: 410 },
  LOG_GAP: { retry: "never", exit: 5, http: 409 },
  OBJECT_MISSING: { retry: "never", exit: 1, http: 404 },
  OBJECT_EXISTS: { retry: "never", exit: 6, http: 409 },
  OBJECT_DAMAGED: { retry: "never", exit: 8, http: 502 },
  INDEX_SPOILT: { retry: "backoff", exit: 1, http: 503 },
  NOT_PRIMARY: { retry: "never", exit: 6, http: 409 },
  REPLICA_BEHIND: { retry: "never", exit: 6, http: 409 },
  OBJECT_RETAINED: { retry: "never", exit: 6, http: 409 },
  OBJECT_COLD: { retry: "never", exit: 1, http: 409 },
  BUCKET_MISSING: { retry: "never", exit: 7, http: 503 },
  STORE_DENIED: { retry: "never", exit: 7, http: 503 },
  STORE_UNREACHABLE: { retry: "backoff", exit: 7, http: 503 },
  STORE_UNSUPPORTED: { retry: "never", exit: 4, http: 422 },
  DISK_FULL: { retry: "backoff", exit: 1, http: 507 },
  SOURCE_UNREACHABLE: { retry: "backoff", exit: 7, http: 503 },
  SOURCE_DENIED: { retry: "never", exit: 4, http: 422 },
  SOURCE_UNSUPPORTED: { retry: "never", exit: 4, http: 422 },
  SOURCE_LOCKED: { retry: "backoff", exit: 7, http: 503 },
  SOURCE_DAMAGED: { retry: "never", exit: 8, http: 422 },
  SOURCE_ENCRYPTED: { retry: "never", exit: 4, http: 422 },
  SOURCE_VANISHED: { retry: "backoff", exit: 7, http: 503 },
  SOURCE_LOST: { retry: "backoff", exit: 1, http: 502 },
  SOURCE_CHANGED: { retry: "backoff", exit: 1, http: 409 },
  SECRET_MISSING: { retry: "never", exit: 2, http: 422 },
  FENCE_FAILED: { retry: "backoff", exit: 1, http: 502 },
  CUT_VOID: { retry: "backoff", exit: 1, http: 409 },
  STORE_NOT_INSTALLED: { retry: "never", exit: 4, http: 422 },
  SANDBOX_FAILED: { retry: "never", exit: 8, http: 422 },
  VERIFICATION_FAILED: { retry: "never", exit: 8, http: 422 },
  BUS_DENIED: { retry: "never", exit: 7, http: 503 },
  UNREACHABLE: { retry: "backoff", exit: 7, http: 503 },
  TIMEOUT: { retry: "backoff", exit: 1, http: 504 },
  PARTIAL: { retry: "never", exit: 3, http: 200 },
  CANCELLED: { retry: "never", exit: 130, http: 409 },
  INTERNAL: { retry: "never", exit: 1, http: 500 },
} as const satisfies Record<string, { retry: "never" | "backoff"; exit: number; http: number }>;

export type ErrorCode = keyof typeof ERROR_CODES;

const codes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

/** An error as data, as it crosses NATS and HTTP. `retry` is kept, so that an older reader honours a newer table. */
export const errorBody = z.object({
  code: z.enum(codes).catch("INTERNAL"),
  retry: z.enum(["never", "backoff"]),
  /** What was attempted, and failed: "Cannot open the repository". */
  what: z.string(),
  /** Which thing it concerns: a path, an object, a field, a source. */
  where: z.string().optional(),
  /** The cause, in plain words. */
  why: z.string().optional(),
  /** What to do next; a command that can be pasted where there is one, never a destructive one. */
  hint: z.string().optional(),
});
export type ErrorBody = z.infer<typeof errorBody>;

export type ErrorParts = {
  what: string;
  where?: string | undefined;
  why?: string | undefined;
  hint?: string | undefined;
  cause?: unknown;
};

export class StillpointError extends Error {
  readonly code: ErrorCode;
  readonly retry: "never" | "backoff";
  readonly what: string;
  readonly where: string | undefined;
  readonly why: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, parts: ErrorParts) {
    const where = parts.where === undefined ? "" : ` (${parts.where})`;
    const why = parts.why === undefined ? "" : `: ${parts.why}`;
    super(`${parts.what}${where}${why}`, { cause: parts.cause });
    this.name = "StillpointError";
    this.code = code;
    this.retry = ERROR_CODES[code].retry;
    this.what = parts.what;
    this.where = parts.where;
    this.why = parts.why;
    this.hint = parts.hint;
  }

  get exit(): number {
    return ERROR_CODES[this.code].exit;
  }

  get http(): number {
    return ERROR_CODES[this.code].http;
  }

  toBody(): ErrorBody {
    const { code, retry, what, where, why, hint } = this;
    return {
      code,
      retry,
      what,
      ...(where === undefined ? {} : { where }),
      ...(why === undefined ? {} : { why }),
      ...(hint === undefined ? {} : { hint }),
    };
  }

  static fromBody(body: ErrorBody): StillpointError {
    return new StillpointError(body.code, body);
  }
}

/**
 * Any thrown value as a StillpointError: one stays itself, a failed parse names the field, everything else is INTERNAL
 * with its message as the reason.
 */
export function toStillpointError(error: unknown, what: string): StillpointError {
  if (error instanceof StillpointError) return error;
  if (error instanceof z.ZodError) {
    return new StillpointError("INVALID_REQUEST", {
      what,
      where: error.issues.map((issue) => issue.path.join(".") || "the whole").join(", "),
      why: error.issues.map((issue) => issue.message).join("; "),
      cause: error,
    });
  }
  return new StillpointError("INTERNAL", {
    what,
    why: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
