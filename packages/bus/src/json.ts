import { StillpointError } from "@stillpoint/contracts/errors";
import type { z } from "zod";

/** Bytes from the wire as an unknown value; an empty message is an empty object, so that a request may be sent bare. */
export function decodeJson(bytes: Uint8Array, where: string): unknown {
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot read a message",
      where,
      why: error instanceof Error ? error.message : String(error),
      hint: 'send one JSON object, such as {"plan":"shop"}',
      cause: error,
    });
  }
}

/** `field: why` for each issue, the way a person would point at it. */
export function describeIssues(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".") || "message"}: ${issue.message}`).join("; ");
}

/** The first bad field, by its path; the name itself where a field is not known at all. */
export function firstBadField(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue?.code === "unrecognized_keys") return [...issue.path, issue.keys[0]].join(".");
  return issue?.path.join(".") || "message";
}

/** A body read from the wire: unknown fields are dropped where the schema is tolerant, a bad one is named. */
export function readBody<Schema extends z.ZodType>(schema: Schema, value: unknown, subject: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StillpointError("INVALID_REQUEST", {
    what: `Cannot accept the message on ${subject}`,
    where: firstBadField(parsed.error),
    why: describeIssues(parsed.error),
  });
}

/**
 * A body for the wire: checked strictly, then sent as it was given. What the schema makes of it (defaults, durations as
 * milliseconds) is the reader's business, and would not parse a second time.
 */
export function writeBody<Schema extends z.ZodType>(schema: Schema, value: z.input<Schema>, subject: string): string {
  const parsed = schema.safeParse(value);
  if (parsed.success) return JSON.stringify(value);
  throw new StillpointError("INTERNAL", {
    what: `Cannot send the message on ${subject}`,
    where: firstBadField(parsed.error),
    why: describeIssues(parsed.error),
    cause: parsed.error,
  });
}
