import { setTimeout as delay } from "node:timers/promises";
import type { Consumer, ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import type { Connection } from "./connection.ts";
import { isClosed } from "./failure.ts";

/** How long one request for messages stays open at the server. */
const EXPIRES_MS = 5_000;
const PAUSE_MS = 300;
/** After this many failures in a row the consumer itself is looked for again. */
const FAILURES_BEFORE_LOOKING = 3;

export type PullOptions = {
  stream: string;
  durable: string;
  /** How many messages one request may bring. */
  batch: number;
  /** Makes the durable again, should it be gone. */
  ensure: () => Promise<unknown>;
  signal: AbortSignal;
};

/**
 * The messages of a durable, one request after another and never one while the last message is still being looked at: a
 * client that pulls ahead during a long job hoards what others could do. Ends when the signal fires or the connection is
 * closed; whatever else goes wrong is waited out.
 */
export async function* pulled(connection: Connection, options: PullOptions): AsyncGenerator<JsMsg, void, void> {
  const { signal, stream, durable } = options;
  let consumer: Consumer | undefined;
  let failures = 0;
  while (!signal.aborted && !connection.nc.isClosed()) {
    let messages: ConsumerMessages | undefined;
    const stop = () => void messages?.close();
    if (!(await connection.link.up(PAUSE_MS))) continue;
    try {
      consumer ??= await connection.js.consumers.get(stream, durable);
      messages = await consumer.fetch({ max_messages: options.batch, expires: EXPIRES_MS });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      for await (const message of messages) {
        failures = 0;
        yield message;
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted || connection.nc.isClosed() || isClosed(error)) return;
      failures += 1;
      connection.log.debug({ stream, durable, failures, why: String(error) }, "pull failed, trying again");
      await delay(PAUSE_MS + jitter(connection));
      if (failures % FAILURES_BEFORE_LOOKING === 0) {
        consumer = undefined;
        await ensureQuietly(connection, options);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }
}

/** The server may be down still: what this cannot do now, the next round tries again. */
async function ensureQuietly(connection: Connection, options: PullOptions): Promise<void> {
  try {
    await options.ensure();
  } catch (error) {
    connection.log.warn(
      { stream: options.stream, durable: options.durable, why: String(error) },
      "durable not reachable, trying again",
    );
  }
}

function jitter(connection: Connection): number {
  return (connection.random(1)[0] ?? 0) % 100;
}
