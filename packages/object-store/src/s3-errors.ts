import { S3ServiceException } from "@aws-sdk/client-s3";
import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";

const DENIED = new Set([
  "AccessDenied",
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
  "AllAccessDisabled",
]);
const FULL = new Set(["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageFull"]);

const HINTS: Partial<Record<ErrorCode, string>> = {
  BUCKET_MISSING: "create the bucket, or correct its name in the URL",
  STORE_DENIED:
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of this process, and that they may read, write and list",
  STORE_UNREACHABLE: "check the endpoint in the URL, the network and the server",
  DISK_FULL: "free space on the object store, or raise its quota",
};

export function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

function codeOf(error: unknown): ErrorCode | undefined {
  if (!(error instanceof S3ServiceException)) return error instanceof Error ? "STORE_UNREACHABLE" : undefined;
  const status = statusOf(error);
  if (error.name === "NoSuchBucket") return "BUCKET_MISSING";
  if (FULL.has(error.name) || status === 507) return "DISK_FULL";
  // 407 is a proxy's.
  if (DENIED.has(error.name) || status === 401 || status === 403 || status === 407) return "STORE_DENIED";
  // The server understood and will answer the same again.
  if (status !== undefined && status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status))
    return "INTERNAL";
  return "STORE_UNREACHABLE";
}

/** The client's failure in our words. An abort stays itself: it is the caller's own. */
export function fromS3(error: unknown, what: string, where: string): unknown {
  const aborted = error instanceof Error && error.name === "AbortError";
  const code = error instanceof StillpointError || aborted ? undefined : codeOf(error);
  if (code === undefined) return error;
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new StillpointError(code, { what, where, why, hint: HINTS[code], cause: error });
}
