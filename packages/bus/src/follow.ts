import { setTimeout as delay } from "node:timers/promises";
import type { Consumer, ConsumerMessages, JsMsg, OrderedConsumerOptions } from "@nats-io/jetstream";
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
    let consumer: Consumer | undefined;
    const stop = () => void messages?.close();
    if (!(await connection.link.up(PAUSE_MS))) continue;
    try {
      consumer = await connection.js.consumers.get(stream, orderedOptions(options.filters, start));
      const { num_pending: pending } = await consumer.info(true);
      messages = await consumer.consume({ max_messages: 200, expires: EXPIRES_MS });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      if (pending === 0 && !isCurrent) {
        isCurrent = true;
        yield { type: "current" };
      }
      const idle = isCurrent ? undefined : firstHeartbeat(messages);
      for await (const message of withIdle(messages, idle)) {
        if (message !== "idle") {
          start = { from: "after", sequence: message.seq };
          yield { type: "message", message };
        }
        if ((message === "idle" || message.info.pending === 0) && !isCurrent) {
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
      await discard(connection, consumer);
    }
    if (!signal.aborted && !connection.nc.isClosed()) await delay(PAUSE_MS);
  }
}

/**
 * The server beats only while it has nothing to give. Without it, a follower whose last pending message was removed
 * before it came would wait for the next one to learn that it is current.
 */
async function firstHeartbeat(messages: ConsumerMessages): Promise<"idle"> {
  for await (const status of messages.status()) if (status.type === "heartbeat") return "idle";
  return new Promise(() => {}); // closed: there is no news any more
}

/** The messages, and once among them the news that there is nothing to wait for. */
async function* withIdle(
  messages: ConsumerMessages,
  idle: Promise<"idle"> | undefined,
): AsyncGenerator<JsMsg | "idle", void, void> {
  const iterator = messages[Symbol.asyncIterator]();
  let isIdle = idle === undefined;
  for (;;) {
    const next = iterator.next();
    if (!isIdle && (await Promise.race([next, idle])) === "idle") {
      isIdle = true;
      yield "idle";
    }
    const { done, value } = await next;
    if (done) return;
    if (value.info.pending === 0) isIdle = true;
    yield value;
  }
}

/** The server would keep it for five minutes; a list of keys is asked for more often than that. */
async function discard(connection: Connection, consumer: Consumer | undefined): Promise<void> {
  if (consumer === undefined || !connection.link.isUp()) return;
  try {
    await consumer.delete();
  } catch (error) {
    connection.log.debug({ why: String(error) }, "ephemeral consumer left to the server");
  }
}

function orderedOptions(filters: string[], start: FollowStart): Partial<OrderedConsumerOptions> {
  if (start.from === "first") return { filter_subjects: filters, deliver_policy: "all" };
  if (start.from === "newest-of-each") return { filter_subjects: filters, deliver_policy: "last_per_subject" };
  return { filter_subjects: filters, deliver_policy: "by_start_sequence", opt_start_seq: start.sequence + 1 };
}
