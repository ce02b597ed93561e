import type { JsMsg } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import type { StillpointError } from "@stillpoint/contracts/errors";
import { SUBJECT_ROOT } from "@stillpoint/contracts/messages";
import { toInstant } from "@stillpoint/contracts/names";
import type { Connection } from "./connection.ts";
import { persist } from "./persist.ts";
import { terminate } from "./settle.ts";

/** Headers of a dead letter; what it was and why it died. The body is the original's, byte for byte. */
export const DEAD = {
  SUBJECT: "stillpoint-dead-subject",
  STREAM: "stillpoint-dead-stream",
  DURABLE: "stillpoint-dead-durable",
  SEQUENCE: "stillpoint-dead-sequence",
  ATTEMPTS: "stillpoint-dead-attempts",
  AT: "stillpoint-dead-at",
  /** An ErrorBody as JSON. */
  ERROR: "stillpoint-dead-error",
} as const;

/** The reason given to the server, by which its own advisory of the same death is known to be one. */
export const BURIED = "dead letter written";

/** Writes the dead letter, and only then ends the message: dying between the two leaves one letter and one more try. */
export async function bury(
  connection: Connection,
  message: JsMsg,
  durable: string,
  error: StillpointError,
  attempts: number,
): Promise<void> {
  const { stream, streamSequence } = message.info;
  const all = headers();
  for (const key of message.headers?.keys() ?? []) {
    if (!key.startsWith("Nats-")) for (const value of message.headers?.values(key) ?? []) all.append(key, value);
  }
  all.set(DEAD.SUBJECT, message.subject);
  all.set(DEAD.STREAM, stream);
  all.set(DEAD.DURABLE, durable);
  all.set(DEAD.SEQUENCE, String(streamSequence));
  all.set(DEAD.ATTEMPTS, String(attempts));
  all.set(DEAD.AT, toInstant(connection.clock.now()));
  all.set(DEAD.ERROR, headerSafe(JSON.stringify(error.toBody())));
  const subject = `${SUBJECT_ROOT}.dead.${stream}.${durable}`;
  const msgID = `dead:${stream}:${durable}:${streamSequence}`;
  await persist(connection, "Cannot write a dead letter", subject, () =>
    connection.js.publish(subject, message.data, { msgID, headers: all }),
  );
  connection.log.error({ subject: message.subject, durable, attempts, error: error.toBody() }, "command buried");
  await terminate(connection, message, BURIED);
}

/** A header is one line of ASCII; JSON has an escape for everything else. */
function headerSafe(json: string): string {
  return json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
