import { setTimeout as delay } from "node:timers/promises";
import type { JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { toStillpointError } from "@stillpoint/contracts/errors";
import { type Event, filterOf } from "@stillpoint/contracts/messages";
import { STREAMS } from "@stillpoint/contracts/topology";
import type { Connection } from "./connection.ts";
import { bury } from "./dead-letter.ts";
import { ensureDurable } from "./durable.ts";
import { type Fact, readFact } from "./events.ts";
import { judge } from "./outcome.ts";
import { pulled } from "./pull.ts";
import { acknowledge, giveBack, keepAlive } from "./settle.ts";
import { withTrace } from "./trace.ts";

export type ProjectOptions = {
  /** A projector that is silent for this long has crashed; another goes on with the same event. */
  ackWaitMs?: number;
  stopWithinMs?: number;
};

const DEFAULTS = { ackWaitMs: 10_000, stopWithinMs: 10_000 };
const RETRY = { firstDelayMs: 500, longestDelayMs: 30_000 };
const BATCH = 100;

export type RawProjection = {
  stream: string;
  durable: string;
  filters: string[];
  handle: (message: JsMsg) => Promise<void>;
};

/**
 * Each message to the handler, in the stream's order, at least once, from the first that is still there. The server gives
 * the next one only when the last is acknowledged, to whichever replica asks, so order holds across replicas and crashes.
 * A handler that fails is asked again, in place; one that can never succeed has the message buried.
 */
export async function project(
  connection: Connection,
  projection: RawProjection,
  options: ProjectOptions,
): Promise<AsyncDisposable> {
  const { stream, durable } = projection;
  const settings = { ...DEFAULTS, ...options };
  const ensure = () =>
    ensureDurable(connection, stream, {
      durable_name: durable,
      filter_subjects: projection.filters,
      deliver_policy: "all",
      ack_policy: "explicit",
      ack_wait: nanos(settings.ackWaitMs),
      max_deliver: -1,
      max_ack_pending: 1,
    });
  await ensure();
  const stopping = new AbortController();

  const handle = async (message: JsMsg): Promise<void> => {
    using _alive = keepAlive(connection, message, settings.ackWaitMs);
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      try {
        await withTrace(message.headers?.get("traceparent"), () => projection.handle(message));
        return await acknowledge(connection, message);
      } catch (error) {
        const failure = toStillpointError(error, `Cannot project ${message.subject}`);
        const verdict = judge({ type: "failed", error: failure }, attempt, RETRY, (connection.random(1)[0] ?? 0) / 256);
        if (verdict.act === "bury") return await bury(connection, message, durable, failure, attempt);
        const delayMs = verdict.act === "nak" ? verdict.delayMs : 0;
        const fields = { subject: message.subject, durable, attempt, error: failure.toBody(), againInMs: delayMs };
        connection.log.warn(fields, "event not projected, trying again");
        await delay(delayMs, undefined, { signal: stopping.signal }).catch(() => {
          // Only stopping ends the pause early; the loop above sees it.
        });
      }
    }
    // Another replica need not wait until we are taken for crashed.
    await giveBack(connection, message, 0);
  };

  const loop = async () => {
    const request = { stream, durable, batch: BATCH, ensure, signal: stopping.signal };
    for await (const message of pulled(connection, request)) {
      await handle(message).catch((error: unknown) => {
        // Not acknowledged: the server offers it again when ack_wait has passed.
        connection.log.error({ subject: message.subject, durable, why: String(error) }, "event not settled");
      });
    }
  };
  const looping = loop();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await Promise.race([looping, delay(settings.stopWithinMs, undefined, { ref: false })]);
    },
  };
}

/** One event and what becomes of it; made by `on`, so that the handler is typed by the event. */
export type Binding = { event: Event; handle: (message: JsMsg) => Promise<void> };

export function on<Definition extends Event>(
  event: Definition,
  handler: (fact: Fact<Definition>) => Promise<void>,
): Binding {
  return { event, handle: (message) => handler(readFact([event], message)) };
}

/** `durable` is the service's name: its replicas share the work. */
export async function projectEvents(
  connection: Connection,
  durable: string,
  bindings: readonly Binding[],
  options: ProjectOptions = {},
): Promise<AsyncDisposable> {
  const byFilter = bindings.map((binding) => ({ binding, filter: filterOf(binding.event.subject) }));
  const handle = async (message: JsMsg) => {
    const matching = byFilter.find(({ filter }) => matches(filter, message.subject));
    await matching?.binding.handle(message);
  };
  const filters = byFilter.map(({ filter }) => filter);
  return project(connection, { stream: STREAMS.EVT.name, durable, filters, handle }, options);
}

function matches(filter: string, subject: string): boolean {
  const wanted = filter.split(".");
  const given = subject.split(".");
  return wanted.length === given.length && wanted.every((token, at) => token === "*" || token === given[at]);
}
