import type { JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Connection } from "./connection.ts";
import { persist } from "./persist.ts";

const CONFIRMED_WITHIN_MS = 2_000;

/**
 * Tells the server what became of a message and waits for its confirmation. (The client's own calls are sent and
 * forgotten, or mark the message as settled before the server has said so, which leaves nothing to repeat.)
 */
async function settle(connection: Connection, message: JsMsg, what: string, payload: string): Promise<void> {
  await persist(connection, what, message.subject, async () => {
    await connection.nc.request(replyOf(message), payload, { timeout: CONFIRMED_WITHIN_MS });
  });
}

/** Where the server hears about the message. The client has it, and does not declare it. */
function replyOf(message: JsMsg): string {
  if ("reply" in message && typeof message.reply === "string" && message.reply !== "") return message.reply;
  throw new TypeError(`no reply subject in a message of ${message.subject}: has the client changed?`);
}

export function acknowledge(connection: Connection, message: JsMsg): Promise<void> {
  return settle(connection, message, "Cannot acknowledge a message", "+ACK");
}

/** It comes again, to any taker, after the delay. */
export function giveBack(connection: Connection, message: JsMsg, delayMs: number): Promise<void> {
  const payload = delayMs === 0 ? "-NAK" : `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}`;
  return settle(connection, message, "Cannot give a message back", payload);
}

/** It never comes again. */
export function terminate(connection: Connection, message: JsMsg, reason: string): Promise<void> {
  return settle(connection, message, "Cannot end a message", `+TERM ${reason.replaceAll(/\s+/g, " ")}`);
}

/** Keeps messages from being given to another while they are worked on. */
export function keepAlive(connection: Connection, message: JsMsg, ackWaitMs: number): Disposable {
  const timer = setInterval(() => {
    // A closed connection has nobody to tell; the message comes again to another process, which is right.
    if (!connection.nc.isClosed()) message.working();
  }, ackWaitMs / 4);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
