import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";

const CODES: Record<string, ErrorCode> = {
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  EFBIG: "DISK_FULL",
  EACCES: "STORE_DENIED",
  EPERM: "STORE_DENIED",
  EROFS: "STORE_DENIED",
  ENOTSUP: "STORE_DENIED",
};
const HINTS: Partial<Record<ErrorCode, string>> = {
  DISK_FULL: "free space on the file system that holds the directory",
  STORE_DENIED: "give this process's account read and write rights on the directory, on a file system with hard links",
  STORE_UNREACHABLE: "check that the file system is mounted and healthy",
};

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A failed system call in our words; what is no system call's failure (an abort) stays itself. */
export function fromErrno(error: unknown, what: string, where: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof StillpointError || errno === undefined || errno === "ABORT_ERR") return error;
  const code = CODES[errno] ?? "STORE_UNREACHABLE";
  const why = error instanceof Error ? error.message : errno;
  return new StillpointError(code, { what, where, why, hint: HINTS[code], cause: error });
}

export function rootMissing(directory: string): StillpointError {
  return new StillpointError("BUCKET_MISSING", {
    what: "Cannot use the object store",
    where: directory,
    why: "the directory does not exist",
    hint: "create it, or mount the file system that holds it",
  });
}
