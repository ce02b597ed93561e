import type { JsMsg } from "@nats-io/jetstream";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { type Event, filterOf, parametersOf, type SubjectParameters } from "@stillpoint/contracts/messages";
import { toInstant } from "@stillpoint/contracts/names";
import { STREAMS } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import type { Connection } from "./connection.ts";
import { type FollowStart, followed } from "./follow.ts";
import { headerOf } from "./headers.ts";
import { decodeJson, readBody } from "./json.ts";

/** An event as it is read. `type` tells events apart: `if (fact.type === pointSealed.subject)`. */
export type Fact<Definition extends Event> = Definition extends Event
  ? {
      type: Definition["subject"];
      parameters: SubjectParameters<Definition["subject"]>;
      body: z.output<Definition["body"]>;
      /** Its place in the stream: of two, the higher one came later. */
      sequence: number;
      /** When the server stored it. */
      storedAt: string;
      traceparent: string | undefined;
    }
  : never;

/** Reads an event's message by the first definition whose subject matches. */
export function readFact<Definition extends Event>(
  definitions: readonly Definition[],
  message: JsMsg,
): Fact<Definition> {
  const { subject } = message;
  for (const definition of definitions) {
    const parameters = parametersOf(definition.subject, subject);
    if (parameters === undefined) continue;
    const fact = {
      type: definition.subject,
      parameters,
      body: readBody(definition.body, decodeJson(message.data, subject), subject),
      sequence: message.seq,
      storedAt: toInstant(message.time.getTime()),
      traceparent: headerOf(message.headers, "traceparent"),
    };
    return fact as Fact<Definition>; // type, parameters and body come from one definition
  }
  throw new StillpointError("INTERNAL", { what: "Unexpected subject", where: subject });
}

export type FollowEventsOptions<Definition extends Event> = {
  /** Parameters that all these events must have, such as `{runId}`. */
  parameters?: Partial<SubjectParameters<Definition["subject"]>>;
  /** Only what was stored after this sequence. Absent: all that is still there. */
  after?: number;
  signal: AbortSignal;
};

/**
 * Events from a place on, in order, without gaps, for ever, for this process alone. One that cannot be read is logged
 * and left out: it was written by a version that we do not know.
 */
export async function* followEvents<Definition extends Event>(
  connection: Connection,
  definitions: readonly Definition[],
  options: FollowEventsOptions<Definition>,
): AsyncGenerator<Fact<Definition> | { type: "current" }, void, void> {
  const filters = definitions.map((definition) => filterOf(definition.subject, options.parameters ?? {}));
  const start: FollowStart =
    options.after === undefined ? { from: "first" } : { from: "after", sequence: options.after };
  for await (const step of followed(connection, { stream: STREAMS.EVT.name, filters, start, signal: options.signal })) {
    if (step.type === "current") yield step;
    else {
      const fact = tryRead(connection, definitions, step.message);
      if (fact !== undefined) yield fact;
    }
  }
}

function tryRead<Definition extends Event>(
  connection: Connection,
  definitions: readonly Definition[],
  message: JsMsg,
): Fact<Definition> | undefined {
  try {
    return readFact(definitions, message);
  } catch (error) {
    const failure = toStillpointError(error, "Cannot read an event");
    connection.log.error({ subject: message.subject, error: failure.toBody() }, "event left out");
    return undefined;
  }
}

/** The last sequence of the stream now: what is stored from here on comes after. */
export async function lastEventSequence(connection: Connection): Promise<number> {
  const { state } = await connection.jsm.streams.info(STREAMS.EVT.name);
  return state.last_seq;
}
