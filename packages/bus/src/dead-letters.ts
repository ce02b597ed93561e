import type { JsMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { type ErrorBody, errorBody, StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import { STREAMS } from "@stillpoint/contracts/topology";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { BURIED, DEAD } from "./dead-letter.ts";
import { API, hasApiCode } from "./failure.ts";
import { headerOf } from "./headers.ts";
import { decodeJson } from "./json.ts";
import { persist } from "./persist.ts";
import { type ProjectOptions, project } from "./project.ts";

/** What could not be done. `body` is what was asked, as text: it may be anything. */
export type DeadLetter = {
  sequence: number;
  subject: string;
  stream: string;
  durable: string;
  error: ErrorBody;
  at: string;
  body: string;
};

type Stored = { subject: string; header: MsgHdrs | undefined; data: Uint8Array; sequence: number; at: string };

/** The server's own notices: `nats consumer rm`-like deaths that no process of ours wrote a letter for. */
const advisory = z.object({
  stream: z.string(),
  consumer: z.string(),
  stream_seq: z.number(),
  deliveries: z.number().optional(),
  reason: z.string().optional(),
});

/** Undefined: the server's notice of a death for which a letter was written. */
export function readDeadLetter(stored: Stored): DeadLetter | undefined {
  const { header, sequence, at } = stored;
  const body = new TextDecoder().decode(stored.data);
  const subject = headerOf(header, DEAD.SUBJECT);
  if (subject !== undefined) {
    return {
      sequence,
      at,
      subject,
      stream: headerOf(header, DEAD.STREAM) ?? "",
      durable: headerOf(header, DEAD.DURABLE) ?? "",
      error: errorBody.parse(decodeJson(new TextEncoder().encode(headerOf(header, DEAD.ERROR)), subject)),
      body,
    };
  }
  const notice = advisory.parse(decodeJson(stored.data, stored.subject));
  if (notice.reason === BURIED) return undefined;
  const error = new StillpointError("INTERNAL", {
    what: "The server gave a message up",
    where: `${notice.stream} ${notice.stream_seq}`,
    why: notice.reason ?? `it was delivered ${notice.deliveries ?? "too many"} times`,
  });
  const { stream, consumer: durable } = notice;
  return { sequence, at, subject: stored.subject, stream, durable, error: error.toBody(), body };
}

/** Newest first. */
export async function listDeadLetters(
  connection: Connection,
  options: { limit: number; before?: number },
): Promise<DeadLetter[]> {
  const { name } = STREAMS.DEAD;
  const { state } = await persist(connection, "Cannot read the dead letters", name, () =>
    connection.jsm.streams.info(name),
  );
  const found: DeadLetter[] = [];
  let sequence = Math.min(state.last_seq, (options.before ?? Number.POSITIVE_INFINITY) - 1);
  for (; sequence >= Math.max(1, state.first_seq) && found.length < options.limit; sequence -= 1) {
    const letter = await readStored(connection, sequence);
    if (letter !== undefined) found.push(letter);
  }
  return found;
}

async function readStored(connection: Connection, sequence: number): Promise<DeadLetter | undefined> {
  const stored = await persist(connection, "Cannot read a dead letter", String(sequence), async () => {
    try {
      return await connection.jsm.streams.getMessage(STREAMS.DEAD.name, { seq: sequence });
    } catch (error) {
      if (hasApiCode(error, API.NO_MESSAGE)) return null;
      throw error;
    }
  });
  if (stored === null) return undefined;
  const { subject, header, data, time } = stored;
  return readDeadLetter({ subject, header, data, sequence, at: toInstant(time.getTime()) });
}

/** Asks for it once more, under its old subject, and takes the letter away. Refused where that subject is occupied. */
export async function replayDeadLetter(connection: Connection, sequence: number): Promise<void> {
  const letter = await readStored(connection, sequence);
  if (letter === undefined || letter.stream === STREAMS.DEAD.name || letter.subject.startsWith("$JS.")) {
    throw new StillpointError("NOT_FOUND", {
      what: "Cannot replay a dead letter",
      where: String(sequence),
      why: letter === undefined ? "there is none of this number" : "it is a notice of the server and holds no message",
      hint: "its number is its place in the stream DEAD; read the list again, it may have been replayed already",
    });
  }
  const msgID = `replay:${sequence}`;
  const all = headers();
  all.set("content-type", "application/json");
  await persist(connection, "Cannot replay a dead letter", letter.subject, async () => {
    try {
      await connection.js.publish(letter.subject, letter.body, { msgID, headers: all });
    } catch (error) {
      if (!hasApiCode(error, API.MAX_PER_SUBJECT)) throw error;
      throw new StillpointError("CONFLICT", {
        what: "Cannot replay a dead letter",
        where: letter.subject,
        why: "a newer command of this subject waits or is under way",
        hint: "wait until it is done",
      });
    }
  });
  await connection.jsm.streams.deleteMessage(STREAMS.DEAD.name, sequence, false);
}

/** Each dead letter to the handler, in order, at least once. */
export async function projectDeadLetters(
  connection: Connection,
  durable: string,
  handler: (letter: DeadLetter) => Promise<void>,
  options: ProjectOptions = {},
): Promise<AsyncDisposable> {
  const handle = async (message: JsMsg) => {
    const letter = readDeadLetter({
      subject: message.subject,
      header: message.headers,
      data: message.data,
      sequence: message.seq,
      at: toInstant(message.time.getTime()),
    });
    if (letter !== undefined) await handler(letter);
  };
  const { name, subjects } = STREAMS.DEAD;
  return project(connection, { stream: name, durable, filters: [...subjects], handle }, options);
}
