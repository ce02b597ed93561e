import type { StoredMsg } from "@nats-io/jetstream";
import { type Command, parametersOf, type SubjectParameters, subjectOf } from "@stillpoint/contracts/messages";
import { STREAMS } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import type { Connection } from "./connection.ts";
import { API, hasApiCode } from "./failure.ts";
import { cloudEventHeaders, headerOf } from "./headers.ts";
import { decodeJson, readBody, writeBody } from "./json.ts";
import { persist } from "./persist.ts";

export type StoredCommand<Definition extends Command> = {
  messageId: string | undefined;
  sequence: number;
  parameters: SubjectParameters<Definition["subject"]>;
  body: z.output<Definition["body"]>;
};

export type CommandOptions = {
  /** The command's id without its publication, such as `<runId>:<source>`. */
  messageId: string;
  /**
   * The server remembers an id for an hour, also when its message is gone. Gone by purge, it must be published anew: so
   * by default. A tick that was taken and done must not: `leave`.
   */
  whenGone?: "republish" | "leave";
  patienceMs?: number;
};

export type Published<Definition extends Command> =
  | { outcome: "stored"; sequence: number }
  /** The same command waits, or is under way, already. */
  | { outcome: "duplicate"; sequence: number }
  /** It was published before and is not in the queue any more. Only with `whenGone: "leave"`. */
  | { outcome: "gone" }
  /** Another command of this subject waits or is under way. */
  | { outcome: "occupied"; by: StoredCommand<Definition> };

export function streamOf(definition: Command): string {
  return definition.subject.startsWith("submit.") ? STREAMS.SUBMIT.name : STREAMS.CMD.name;
}

export async function publishCommand<Definition extends Command>(
  connection: Connection,
  definition: Definition,
  parameters: SubjectParameters<Definition["subject"]>,
  body: z.input<Definition["body"]>,
  options: CommandOptions,
): Promise<Published<Definition>> {
  const subject = subjectOf<Definition["subject"]>(definition.subject, parameters);
  const payload = writeBody(definition.body, body, subject);
  for (let publication = 1; ; publication += 1) {
    const msgID = `${options.messageId}:${publication}`;
    const headers = cloudEventHeaders(connection, definition.subject, subject, msgID);
    const answer = await persist(
      connection,
      "Cannot publish a command",
      subject,
      async ({ number }) => {
        try {
          const { seq, duplicate } = await connection.js.publish(subject, payload, { msgID, headers });
          // After a lost answer a duplicate is most likely what the try before stored.
          return { seq, duplicate: duplicate && number === 1 };
        } catch (error) {
          if (hasApiCode(error, API.MAX_PER_SUBJECT)) return undefined;
          throw error;
        }
      },
      options.patienceMs,
    );
    if (answer !== undefined && !answer.duplicate) return { outcome: "stored", sequence: answer.seq };
    const stored = await readCommand(connection, definition, parameters);
    if (answer === undefined) {
      if (stored !== undefined) return occupiedOrOurs(stored, options.messageId);
      publication -= 1; // it ended between the refusal and the look: the same id was not taken
    } else {
      if (stored !== undefined) return occupiedOrOurs(stored, options.messageId);
      if (options.whenGone === "leave") return { outcome: "gone" };
    }
  }
}

/** Any publication of our own command counts as ours. */
function occupiedOrOurs<Definition extends Command>(
  stored: StoredCommand<Definition>,
  messageId: string,
): Published<Definition> {
  const isOurs = stored.messageId?.slice(0, stored.messageId.lastIndexOf(":")) === messageId;
  return isOurs ? { outcome: "duplicate", sequence: stored.sequence } : { outcome: "occupied", by: stored };
}

/** The command of this subject that waits or is under way. */
export async function readCommand<Definition extends Command>(
  connection: Connection,
  definition: Definition,
  parameters: SubjectParameters<Definition["subject"]>,
): Promise<StoredCommand<Definition> | undefined> {
  const subject = subjectOf<Definition["subject"]>(definition.subject, parameters);
  const message = await persist(connection, "Cannot read a command", subject, () =>
    lastOf(connection, streamOf(definition), subject),
  );
  if (message === undefined) return undefined;
  const found = parametersOf<Definition["subject"]>(definition.subject, message.subject);
  if (found === undefined) return undefined;
  const body = readBody(definition.body, decodeJson(message.data, subject), subject);
  return {
    messageId: headerOf(message.header, "Nats-Msg-Id"),
    sequence: message.seq,
    parameters: found,
    body: body as z.output<Definition["body"]>, // the same schema, seen through the generic
  };
}

async function lastOf(connection: Connection, stream: string, subject: string): Promise<StoredMsg | undefined> {
  try {
    return (await connection.jsm.streams.getMessage(stream, { last_by_subj: subject })) ?? undefined;
  } catch (error) {
    if (hasApiCode(error, API.NO_MESSAGE)) return undefined;
    throw error;
  }
}
