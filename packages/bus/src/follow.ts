import { setTimeout as delay } from "node:timers/promises";
import type { ConsumerMessages, JsMsg, OrderedConsumerOptions } from "@nats-io/jetstream";
import type { Connection } from "./connection.ts";
import { API, hasApiCode, isClosed, toBusError } from "./failure.ts";

export type FollowStart =
  /** Everything that the stream still holds. */
  | { from: "first" }
  | { from: "after"; sequence: number }
  /** The newest of each subject, then whatever comes. */
  | { from: "newest-of-each" };

export type FollowOptions = {
  stream: string;
  filters: string[];
  start: FollowStart;
  signal: AbortSignal;
};

/** `current`: everything that was there at the beginning has been given. It comes once. */
export type Followed = { type: "message"; message: JsMsg } | { type: "current" };

const EXPIRES_MS = 10_000;
const PAUSE_MS = 300;

/**
 * A stream's messages in order and without gaps, from a place on, for ever. Nothing is acknowledged; after a break it
 * goes on behind the last message that was given.
 */
export async function* followed(connection: Connection, options: FollowOptions): AsyncGenerator<Followed, void, void> {
  const { signal, stream } = options;
  let start = options.start;
  let isCurrent = false;
  while (!signal.aborted && !connection.nc.isClosed()) {
    let messages: ConsumerMessages | undefined;
    const stop = () => void messages?.close();
    if (!(await connection.link.up(PAUSE_MS))) continue;
    try {
      const consumer = await connection.js.consumers.get(stream, orderedOptions(options.filters, start));
      const { num_pending: pending } = await consumer.info(true);
      messages = await consumer.consume({ max_messages: 200, expires: EXPIRES_MS });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      if (pending === 0 && !isCurrent) {
        isCurrent = true;
        yield { type: "current" };
      }
      for await (const message of messages) {
        start = { from: "after", sequence: message.seq };
        yield { type: "message", message };
        if (message.info.pending === 0 && !isCurrent) {
          isCurrent = true;
          yield { type: "current" };
        }
      }
    } catch (error) {
      if (isClosed(error)) return;
      // Asking for what does not exist is the caller's mistake; everything else passes.
      if (hasApiCode(error, API.STREAM_NOT_FOUND)) throw toBusError(error, "Cannot follow a stream", stream);
      connection.log.debug({ stream, why: String(error) }, "follow broke, going on behind the last message");
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
    if (!signal.aborted && !connection.nc.isClosed()) await delay(PAUSE_MS);
  }
}

function orderedOptions(filters: string[], start: FollowStart): Partial<OrderedConsumerOptions> {
  if (start.from === "first") return { filter_subjects: filters, deliver_policy: "all" };
  if (start.from === "newest-of-each") return { filter_subjects: filters, deliver_policy: "last_per_subject" };
  return { filter_subjects: filters, deliver_policy: "by_start_sequence", opt_start_seq: start.sequence + 1 };
}
