import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import type { HttpAnswer } from "./http-call.ts";

const HINTS: Partial<Record<ErrorCode, string>> = {
  BUCKET_MISSING: "create the bucket, or correct its name in the URL",
  STORE_DENIED: "check GOOGLE_APPLICATION_CREDENTIALS of this process, and that it may read, write and list",
  STORE_UNREACHABLE: "check the endpoint, the network and the server",
  DISK_FULL: "raise the quota of the bucket's project",
};

const refusal = z.object({ error: z.object({ message: z.string() }) });

/** What the server said, without a page of HTML. */
function messageOf({ body }: HttpAnswer): string {
  const text = Buffer.from(body).toString("utf8", 0, 4096);
  try {
    return refusal.parse(JSON.parse(text)).error.message;
  } catch {
    // Proxies and gateways answer in words of their own.
    return text.slice(0, 200);
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403 || status === 407) return "STORE_DENIED";
  if (status === 507) return "DISK_FULL";
  // The server understood and will answer the same again.
  if (status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status)) return "INTERNAL";
  return "STORE_UNREACHABLE";
}

export function fromGcsAnswer(answer: HttpAnswer, what: string, where: string, code = codeOf(answer.status)) {
  const why = `HTTP ${answer.status}: ${messageOf(answer)}`;
  return new StillpointError(code, { what, where, why, hint: HINTS[code] });
}

/** A connection that failed. An abort stays itself: it is the caller's own. */
export function fromGcsFailure(error: unknown, what: string, where: string): unknown {
  if (error instanceof StillpointError || !(error instanceof Error) || error.name === "AbortError") return error;
  return new StillpointError("STORE_UNREACHABLE", {
    what,
    where,
    why: error.message,
    hint: HINTS.STORE_UNREACHABLE,
    cause: error,
  });
}
