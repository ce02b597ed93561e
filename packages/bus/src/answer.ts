import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { ERROR_CODES, StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import {
  filterOf,
  parametersOf,
  type Request,
  type Signal,
  type SubjectParameters,
} from "@stillpoint/contracts/messages";
import type { z } from "zod";
import type { Connection } from "./connection.ts";
import { headerOf } from "./headers.ts";
import { decodeJson, readBody, writeBody } from "./json.ts";
import { withTrace } from "./trace.ts";

export type Asked<Definition extends Request | Signal> = {
  parameters: SubjectParameters<Definition["subject"]>;
  body: z.output<Definition["body"]>;
};

export type AnswerOptions<Definition extends Request | Signal> = {
  /** Parameters of the subject that are ours, such as `{session}`; the others are anybody's. */
  parameters?: Partial<SubjectParameters<Definition["subject"]>>;
  /** One of all that share this name answers. Absent: each does. */
  queue?: string;
};

/**
 * Answers until disposal, which lets answers under way go out. Throwing answers with the error as data. Bodies are bare
 * JSON, from any client of NATS.
 */
export async function answer<Definition extends Request>(
  connection: Connection,
  definition: Definition,
  options: AnswerOptions<Definition>,
  handler: (asked: Asked<Definition>) => Promise<z.input<Definition["reply"]>>,
): Promise<AsyncDisposable> {
  return listen(connection, definition, options, async (message) => {
    try {
      const asked = read(definition, message);
      const reply = await withTrace(headerOf(message.headers, "traceparent"), () => handler(asked));
      message.respond(writeBody(definition.reply, reply, message.subject));
    } catch (error) {
      const failure = toStillpointError(error, `Cannot answer ${definition.subject}`);
      const fields = { subject: message.subject, error: failure.toBody() };
      if (failure.code === "INTERNAL") connection.log.error({ ...fields, stack: stackOf(error) }, "request failed");
      else connection.log.debug(fields, "request refused");
      message.respond(JSON.stringify({ error: failure.toBody() }), { headers: errorHeaders(failure) });
    }
  });
}

/** Hears signals until disposal. */
export async function hearSignals<Definition extends Signal>(
  connection: Connection,
  definition: Definition,
  options: AnswerOptions<Definition>,
  handler: (heard: Asked<Definition>) => void,
): Promise<AsyncDisposable> {
  return listen(connection, definition, options, async (message) => {
    try {
      handler(read(definition, message));
    } catch (error) {
      connection.log.warn({ subject: message.subject, why: String(error) }, "signal not understood");
    }
  });
}

async function listen(
  connection: Connection,
  definition: Request | Signal,
  options: AnswerOptions<Request>,
  take: (message: Msg) => Promise<void>,
): Promise<AsyncDisposable> {
  const underWay = new Set<Promise<void>>();
  const filter = filterOf(definition.subject, options.parameters);
  const subscription = connection.nc.subscribe(filter, options.queue === undefined ? {} : { queue: options.queue });
  const loop = async () => {
    for await (const message of subscription) {
      const one = take(message)
        .catch((error: unknown) => {
          // The asker hears nothing and asks again: there is no way left to tell him.
          connection.log.error({ subject: message.subject, why: String(error) }, "not answered");
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
    }
  };
  const looping = loop();
  // The server knows of the subscription before anybody is told that we answer.
  await connection.nc.flush();
  return {
    [Symbol.asyncDispose]: async () => {
      if (!connection.nc.isClosed()) await subscription.drain();
      await looping;
      await Promise.all(underWay);
    },
  };
}

function read<Definition extends Request | Signal>(definition: Definition, message: Msg): Asked<Definition> {
  const parameters = parametersOf<Definition["subject"]>(definition.subject, message.subject);
  if (parameters === undefined) {
    throw new StillpointError("INTERNAL", { what: "Unexpected subject", where: message.subject });
  }
  const body = readBody(definition.body, decodeJson(message.data, message.subject), message.subject);
  return { parameters, body: body as z.output<Definition["body"]> }; // the same schema, seen through the generic
}

/** NATS's own service clients look here. */
function errorHeaders(failure: StillpointError): MsgHdrs {
  const all = headers();
  all.set("Nats-Service-Error", failure.code);
  all.set("Nats-Service-Error-Code", String(ERROR_CODES[failure.code].http));
  return all;
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
