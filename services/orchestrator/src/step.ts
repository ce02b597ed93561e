import { setTimeout as wait } from "node:timers/promises";
import type { ErrorBody } from "@stillpoint/contracts/errors";
import { StillpointError } from "@stillpoint/contracts/errors";

type Step<Done> =
  | { state: "working"; doing: string; bytes: number }
  | ({ state: "done" } & Done)
  | { state: "failed"; error: ErrorBody };

export type StepPorts<Done> = {
  ask: () => Promise<Step<Done>>;
  isAlive: () => Promise<boolean>;
  monotonicMs: () => number;
  pollMs: number;
  /** Given up after this long without a further byte or a further thing done. */
  silenceMs: number;
  signal: AbortSignal;
};

/** Asks a step until it is done; `died` when the session's lease is gone. Throws the step's own error. */
export async function untilDone<Done>(source: string, ports: StepPorts<Done>): Promise<Done | "died"> {
  let seen = "";
  let movedMs = ports.monotonicMs();
  for (;;) {
    ports.signal.throwIfAborted();
    const step = await askOrUnanswered(ports);
    // A live session gives no answer until it has reconnected: only its lease tells.
    if (step === "unanswered") {
      if (!(await ports.isAlive())) return "died";
    } else if (step.state === "done") return step;
    else if (step.state === "failed") throw StillpointError.fromBody(step.error);
    else {
      const now = `${step.doing} ${step.bytes}`;
      if (now !== seen) movedMs = ports.monotonicMs();
      seen = now;
    }
    if (ports.monotonicMs() - movedMs > ports.silenceMs) {
      throw new StillpointError("TIMEOUT", {
        what: "A source is silent",
        where: source,
        why: `no progress for ${Math.round(ports.silenceMs / 1000)} s while at "${seen}"`,
      });
    }
    await wait(ports.pollMs, undefined, { signal: ports.signal });
  }
}

/** A step that failed because something was unreachable is an answer all the same. */
async function askOrUnanswered<Done>(ports: StepPorts<Done>): Promise<Step<Done> | "unanswered"> {
  try {
    return await ports.ask();
  } catch (error) {
    if (isUnanswered(error)) return "unanswered";
    throw error;
  }
}

export function isUnanswered(error: unknown): boolean {
  return error instanceof StillpointError && (error.code === "UNREACHABLE" || error.code === "TIMEOUT");
}
