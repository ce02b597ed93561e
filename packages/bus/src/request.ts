import { setTimeout as delay } from "node:timers/promises";
import { headers } from "@nats-io/transport-node";
import { errorBody, StillpointError } from "@stillpoint/contracts/errors";
import { type Request, type SubjectParameters, subjectOf } from "@stillpoint/contracts/messages";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { BrokenError, isTransient, toBusError } from "./failure.ts";
import { decodeJson, describeIssues, firstBadField, writeBody } from "./json.ts";
import { nextTraceparent } from "./trace.ts";

export type RequestOptions = {
  timeoutMs: number;
  /** Ask again for this long while nobody answers or the server is away: for requests that may be made twice. */
  patienceMs?: number;
  signal?: AbortSignal;
};

const PAUSE_MS = 250;

/** An answer that is nothing but an error; a reply may have a field of that name among others. */
export const errorReply = z.strictObject({ error: errorBody });

/** The reply, or the StillpointError that was replied. Nobody there is UNREACHABLE, no answer in time is TIMEOUT. */
export async function request<Definition extends Request>(
  connection: Connection,
  definition: Definition,
  parameters: SubjectParameters<Definition["subject"]>,
  body: z.input<Definition["body"]>,
  options: RequestOptions,
): Promise<z.output<Definition["reply"]>> {
  const subject = subjectOf<Definition["subject"]>(definition.subject, parameters);
  const payload = writeBody(definition.body, body, subject);
  const started = connection.clock.monotonicMs();
  for (;;) {
    try {
      return readReply(definition, subject, await ask(connection, subject, payload, options.timeoutMs));
    } catch (error) {
      const isOver = connection.clock.monotonicMs() - started >= (options.patienceMs ?? 0);
      // What was answered is final; that nobody answered may change.
      if (!isTransient(error) || isOver || connection.nc.isClosed())
        throw toBusError(error, `No answer on ${subject}`, subject);
      await delay(PAUSE_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** Bare JSON to somebody else's subject, bare JSON back: for an application's hook. What comes back is for the caller to parse. */
export async function requestJson(
  connection: Connection,
  subject: string,
  body: unknown,
  timeoutMs: number,
): Promise<unknown> {
  try {
    return decodeJson(await ask(connection, subject, JSON.stringify(body), timeoutMs), subject);
  } catch (error) {
    throw toBusError(error, `No answer on ${subject}`, subject);
  }
}

/** Hears what others publish on a subject of theirs, until disposal. It is for the handler to parse; what is no JSON is logged. */
export async function hearJson(
  connection: Connection,
  subject: string,
  handler: (body: unknown) => void,
): Promise<AsyncDisposable> {
  const subscription = connection.nc.subscribe(subject);
  const hearing = (async () => {
    for await (const message of subscription) {
      try {
        handler(decodeJson(message.data, subject));
      } catch (error) {
        connection.log.warn({ subject, why: String(error) }, "message not understood");
      }
    }
  })();
  // The server knows of the subscription before anybody is told that we hear.
  await connection.nc.flush();
  return {
    [Symbol.asyncDispose]: async () => {
      subscription.unsubscribe();
      await hearing;
    },
  };
}

async function ask(connection: Connection, subject: string, payload: string, timeoutMs: number): Promise<Uint8Array> {
  const all = headers();
  all.set("content-type", "application/json");
  all.set("traceparent", nextTraceparent(connection.random));
  // Without a server the client would drop the question and wait for its answer all the same.
  if (!(await connection.link.up(timeoutMs))) throw new BrokenError();
  const reply = await connection.nc.request(subject, payload, { timeout: timeoutMs, headers: all });
  return reply.data;
}

function readReply<Definition extends Request>(
  definition: Definition,
  subject: string,
  data: Uint8Array,
): z.output<Definition["reply"]> {
  const value = decodeJson(data, subject);
  const failed = errorReply.safeParse(value);
  if (failed.success) throw StillpointError.fromBody(failed.data.error);
  const reply = definition.reply.safeParse(value);
  if (reply.success) return reply.data as z.output<Definition["reply"]>; // the same schema, seen through the generic
  throw new StillpointError("INTERNAL", {
    what: `Cannot read the answer to ${definition.subject}`,
    where: firstBadField(reply.error),
    why: describeIssues(reply.error),
    hint: "is another version of Stillpoint answering?",
  });
}
