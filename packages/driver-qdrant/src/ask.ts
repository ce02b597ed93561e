import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import type { z } from "zod";
import type { QdrantServer } from "./server.ts";

export type Question = { what: string; where?: string; signal: AbortSignal };

/**
 * One call of the server's API: ended by the signal, its answer parsed, its failure said in our words. `call` gets the
 * options that it must hand on.
 */
export async function ask<Answer>(
  server: QdrantServer,
  { what, where, signal }: Question,
  schema: z.ZodType<Answer>,
  call: (init: RequestInit) => Promise<{ data: unknown }>,
): Promise<Answer> {
  let data: unknown;
  try {
    ({ data } = await call({ signal }));
  } catch (error) {
    signal.throwIfAborted();
    throw failure(error, what, where ?? server.url);
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what,
    where: where ?? server.url,
    why: `the answer is none that we know: ${parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`).join(", ")}`,
    cause: parsed.error,
  });
}

/** The HTTP status of a failed call, if it was answered at all. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof StillpointError) return statusOf(error.cause);
  const status = error instanceof Error && "status" in error ? error.status : undefined;
  return typeof status === "number" ? status : undefined;
}

export function failure(error: unknown, what: string, where: string): StillpointError {
  if (error instanceof StillpointError) return error;
  const status = statusOf(error);
  if (status === undefined) {
    return new StillpointError("SOURCE_UNREACHABLE", {
      what,
      where,
      why: reasonOf(error),
      hint: "is the server running, and is this its address and port?",
      cause: error,
    });
  }
  return refusal(status, saidIn(error), { what, where, cause: error });
}

export function refusal(
  status: number,
  said: string,
  parts: { what: string; where: string; cause?: unknown },
): StillpointError {
  const why = `the server answered ${status}${said === "" ? "" : `: ${said}`}`;
  if (status === 401 || status === 403) {
    const hint = "give the source an apiKey that may read and write its collections";
    return new StillpointError("SOURCE_DENIED", { ...parts, why, hint });
  }
  return new StillpointError(codeFor(status), { ...parts, why });
}

function codeFor(status: number): ErrorCode {
  if (status === 404) return "SOURCE_CHANGED";
  if (status === 429 || (status >= 500 && status !== 501)) return "SOURCE_LOST";
  return "SOURCE_UNSUPPORTED";
}

/** fetch says only "fetch failed"; the reason lies in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return cause.message === "" ? code : cause.message;
}

function saidIn(error: unknown): string {
  const data: unknown = error instanceof Error && "data" in error ? error.data : undefined;
  if (typeof data === "string") return data.slice(0, 300);
  const status: unknown = Reflect.get(Object(data), "status");
  const said: unknown = Reflect.get(Object(status), "error");
  return typeof said === "string" ? said.slice(0, 300) : "";
}
