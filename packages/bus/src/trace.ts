import { AsyncLocalStorage } from "node:async_hooks";
import type { RandomBytes } from "@stillpoint/contracts/clock";

/** W3C trace context: one trace id from the tick to the sealed point, a span id of its own for each hop. */
const current = new AsyncLocalStorage<string>();

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The header for a message that is sent now: goes on with the trace of the message being handled, or begins one. */
export function nextTraceparent(random: RandomBytes): string {
  const match = TRACEPARENT.exec(current.getStore() ?? "");
  return `00-${match?.[1] ?? hex(random(16))}-${hex(random(8))}-${match?.[2] ?? "01"}`;
}

/** Runs what handles a message, so that whatever it sends belongs to the message's trace. */
export function withTrace<Result>(traceparent: string | undefined, run: () => Result): Result {
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? current.run(traceparent, run) : run();
}

/** For a log line: the id of the trace that is being worked on. */
export function traceId(): string | undefined {
  return TRACEPARENT.exec(current.getStore() ?? "")?.[1];
}
