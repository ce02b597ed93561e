import { createHash } from "node:crypto";
import { type Event, type Signal, type SubjectParameters, subjectOf } from "@stillpoint/contracts/messages";
import type { z } from "zod";
import type { Connection } from "./connection.ts";
import { isClosed, toBusError } from "./failure.ts";
import { cloudEventHeaders } from "./headers.ts";
import { writeBody } from "./json.ts";
import { persist } from "./persist.ts";

export type EventOptions = {
  /** Two events of one subject and key are one fact. Default: the body, so that only a repetition is dropped. */
  key?: string;
  /** How long the server may be away. */
  patienceMs?: number;
};

/** Returns once the event is stored, with its sequence in the stream. */
export async function publishEvent<Definition extends Event>(
  connection: Connection,
  definition: Definition,
  parameters: SubjectParameters<Definition["subject"]>,
  body: z.input<Definition["body"]>,
  options: EventOptions = {},
): Promise<{ sequence: number }> {
  const subject = subjectOf<Definition["subject"]>(definition.subject, parameters);
  const payload = writeBody(definition.body, body, subject);
  const key = options.key ?? createHash("sha256").update(payload).digest("base64url");
  const msgID = `${subject}:${key}`;
  // One set of headers for all tries: a repetition is the same message.
  const headers = cloudEventHeaders(connection, definition.subject, subject, msgID);
  const stored = await persist(
    connection,
    "Cannot publish an event",
    subject,
    () => connection.js.publish(subject, payload, { msgID, headers }),
    options.patienceMs,
  );
  return { sequence: stored.seq };
}

/** Told to whoever listens now. Nothing waits for it, nothing depends on it. */
export function publishSignal<Definition extends Signal>(
  connection: Connection,
  definition: Definition,
  parameters: SubjectParameters<Definition["subject"]>,
  body: z.input<Definition["body"]>,
): void {
  const subject = subjectOf<Definition["subject"]>(definition.subject, parameters);
  const payload = writeBody(definition.body, body, subject);
  // While the server is away a signal has no listeners: it is dropped, not queued up.
  if (!connection.link.isUp()) return;
  try {
    connection.nc.publish(subject, payload);
  } catch (error) {
    if (!isClosed(error)) throw toBusError(error, "Cannot send a signal", subject);
  }
}
