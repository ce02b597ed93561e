import { RestError } from "@azure/core-rest-pipeline";
import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";

const HINTS: Partial<Record<ErrorCode, string>> = {
  BUCKET_MISSING: "create the container, or correct its name in the URL",
  STORE_DENIED:
    "check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY (or AZURE_STORAGE_SAS_TOKEN) of this process, and that they may read, write and list",
  STORE_UNREACHABLE: "check the endpoint, the network and the server",
  DISK_FULL: "raise the quota of the storage account",
};

/** Azure's own word for what happened: `BlobNotFound`. */
export function azureCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  // A HEAD has no body, so that the word is in a header only.
  return error.response?.headers.get("x-ms-error-code") ?? error.code;
}

export function azureStatus(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

function codeOf(error: unknown): ErrorCode | undefined {
  if (!(error instanceof Error) || error.name === "AbortError") return undefined;
  const status = azureStatus(error);
  if (azureCode(error) === "ContainerNotFound") return "BUCKET_MISSING";
  if (azureCode(error) === "AccountLimitExceeded" || status === 507) return "DISK_FULL";
  if (status === 401 || status === 403 || status === 407) return "STORE_DENIED";
  // The server understood and will answer the same again.
  if (status !== undefined && status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status))
    return "INTERNAL";
  return "STORE_UNREACHABLE";
}

/** The client's failure in our words. An abort stays itself: it is the caller's own. */
export function fromAzure(error: unknown, what: string, where: string): unknown {
  const code = error instanceof StillpointError ? undefined : codeOf(error);
  if (code === undefined) return error;
  const [message = ""] = error instanceof Error ? error.message.split("\n") : [String(error)];
  const name = azureCode(error);
  const why = name === undefined ? message : `${name}: ${message}`;
  // Not as the cause: the library's error holds the request, with its signature, its token and the proxy's password.
  return new StillpointError(code, { what, where, why, hint: HINTS[code] });
}
