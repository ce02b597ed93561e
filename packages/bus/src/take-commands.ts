import type { JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { type Command, filterOf, parametersOf, type SubjectParameters } from "@stillpoint/contracts/messages";
import { STREAMS } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import type { AttemptCounter } from "./attempts.ts";
import type { Connection } from "./connection.ts";
import { bury } from "./dead-letter.ts";
import { durableOf, ensureDurable } from "./durable.ts";
import { headerOf } from "./headers.ts";
import { decodeJson, readBody } from "./json.ts";
import { judge, type Outcome } from "./outcome.ts";
import { pulled } from "./pull.ts";
import { acknowledge, giveBack, keepAlive } from "./settle.ts";
import { withTrace } from "./trace.ts";

/** Returned by a handler: give the command back, uncounted, and offer it again after a while. */
export type Delay = { delayMs: number };

export type Taken<Definition extends Command> = {
  parameters: SubjectParameters<Definition["subject"]>;
  body: z.output<Definition["body"]>;
  /** 1 at first; what was delayed or given back at a stop is not counted. */
  attempt: number;
  messageId: string | undefined;
  sequence: number;
  /** Fires when this process stops: end soon, the command goes to another. */
  signal: AbortSignal;
  delay: (ms: number) => Delay;
};

// biome-ignore lint/suspicious/noConfusingVoidType: an async function that just ends is a handler too
export type Handled = Delay | undefined | void;

/**
 * Returning ends the command. Throwing gives it back for later, or buries it as a dead letter where the error says that
 * no later try can succeed. The command is kept alive for as long as this runs.
 */
export type CommandHandler<Definition extends Command> = (taken: Taken<Definition>) => Promise<Handled>;

export type TakeOptions<Definition extends Command> = {
  /** Those parameters of the subject by which takers divide the work: `{kind, site}`. They name the durable. */
  parameters?: Partial<SubjectParameters<Definition["subject"]>>;
  concurrency: number;
  /** A taker that is silent for this long has crashed. */
  ackWaitMs?: number;
  maxAttempts?: number;
  firstDelayMs?: number;
  longestDelayMs?: number;
  /** How long handlers may go on after a stop. */
  stopWithinMs?: number;
};

const DEFAULTS = { ackWaitMs: 30_000, firstDelayMs: 1_000, longestDelayMs: 60_000, stopWithinMs: 20_000 };

/** Taking goes on until disposal: then nothing new is taken, what runs gets its signal and the rest of the time. */
export type Taking = AsyncDisposable & { durable: string; underWay: () => number };

export async function takeCommands<Definition extends Command>(
  connection: Connection,
  attempts: AttemptCounter,
  definition: Definition,
  options: TakeOptions<Definition>,
  handler: CommandHandler<Definition>,
): Promise<Taking> {
  const parameters: Partial<SubjectParameters<Definition["subject"]>> = options.parameters ?? {};
  const durable = durableOf<Definition["subject"]>(definition.subject, parameters);
  const stream = definition.subject.startsWith("cmd.") ? STREAMS.CMD.name : STREAMS.SUBMIT.name;
  const settings = { ...DEFAULTS, ...options };
  const ensure = () =>
    ensureDurable(connection, stream, {
      durable_name: durable,
      filter_subject: filterOf<Definition["subject"]>(definition.subject, parameters),
      ack_policy: "explicit",
      ack_wait: nanos(settings.ackWaitMs),
      // Waiting for a lease uses up deliveries; with a limit the message would block its subject for ever.
      max_deliver: -1,
      max_ack_pending: -1,
    });
  await ensure();

  const noMore = new AbortController();
  const stopping = new AbortController();
  const underWay = new Set<Promise<void>>();

  const handle = async (message: JsMsg): Promise<void> => {
    using _alive = keepAlive(connection, message, settings.ackWaitMs);
    const attempt = await attempts.begin(durable, message.seq);
    const outcome = await run(message, attempt);
    const verdict = judge(outcome, attempt, settings, (connection.random(1)[0] ?? 0) / 256);
    if (verdict.act === "bury") await bury(connection, message, durable, verdict.error, attempt);
    else if (verdict.act === "ack") await acknowledge(connection, message);
    else {
      if (outcome.type === "failed") {
        const error = outcome.error.toBody();
        connection.log.warn({ subject: message.subject, attempt, error, againInMs: verdict.delayMs }, "command failed");
      }
      if (!verdict.counts) await attempts.takeBack(durable, message.seq, attempt);
      await giveBack(connection, message, verdict.delayMs);
      return;
    }
    await attempts.forget(durable, message.seq);
  };

  const run = async (message: JsMsg, attempt: number): Promise<Outcome> => {
    try {
      const { subject, headers } = message;
      const found = parametersOf<Definition["subject"]>(definition.subject, subject);
      if (found === undefined) throw new StillpointError("INTERNAL", { what: "Unexpected subject", where: subject });
      const body = readBody(definition.body, decodeJson(message.data, subject), subject);
      const taken: Taken<Definition> = {
        parameters: found,
        body: body as z.output<Definition["body"]>, // the same schema, seen through the generic
        attempt,
        messageId: headerOf(headers, "Nats-Msg-Id"),
        sequence: message.seq,
        signal: stopping.signal,
        delay: (delayMs) => ({ delayMs }),
      };
      const result = await withTrace(headerOf(headers, "traceparent"), () => handler(taken));
      return result ? { type: "delayed", ms: result.delayMs } : { type: "done" };
    } catch (error) {
      if (stopping.signal.aborted) return { type: "stopped" };
      return { type: "failed", error: toStillpointError(error, `Cannot handle ${message.subject}`) };
    }
  };

  const loop = async () => {
    for await (const message of pulled(connection, { stream, durable, batch: 1, ensure, signal: noMore.signal })) {
      const one = (noMore.signal.aborted ? giveBack(connection, message, 0) : handle(message)).catch(
        (error: unknown) => {
          // The server was not told: it offers the command again when ack_wait has passed, here or elsewhere.
          connection.log.error({ subject: message.subject, why: String(error) }, "command not settled");
        },
      );
      const counted = one.finally(() => underWay.delete(counted));
      underWay.add(counted);
      while (underWay.size >= options.concurrency) await Promise.race(underWay);
    }
  };
  const looping = loop();

  return {
    durable,
    underWay: () => underWay.size,
    [Symbol.asyncDispose]: async () => {
      noMore.abort();
      stopping.abort(new StillpointError("CANCELLED", { what: "This process is stopping" }));
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, settings.stopWithinMs);
      });
      await Promise.race([Promise.all([looping, ...underWay]), deadline]);
      clearTimeout(timer);
      if (underWay.size > 0)
        connection.log.warn({ durable, underWay: underWay.size }, "stopped with commands under way");
    },
  };
}
