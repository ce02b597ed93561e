import { setImmediate } from "node:timers/promises";

export type Outcome<Result> =
  | { ended: "done"; result: Result }
  | { ended: "failed"; error: unknown }
  | { ended: "hung" };

/**
 * Turns of the event loop without a call of the store, after which nothing will ever happen: the work is all in this thread,
 * but for stretching a passphrase, which takes some thousand turns. Counted, since a busy machine has no say in it.
 */
const IDLE_TURNS = 200_000;
const QUIET_TURNS = 50;

/** How the work ended, or that it hangs. `quiet` is called whenever the calls of the store stand still for some turns. */
export async function settled<Result>(
  work: Promise<Result>,
  calls: () => number,
  quiet: () => void = () => undefined,
): Promise<Outcome<Result>> {
  let outcome: Outcome<Result> | undefined;
  work.then(
    (result) => {
      outcome = { ended: "done", result };
    },
    (error: unknown) => {
      outcome = { ended: "failed", error };
    },
  );
  let seen = calls();
  for (let idle = 0; idle < IDLE_TURNS; idle++) {
    await setImmediate();
    if (outcome !== undefined) return outcome;
    if (calls() !== seen) {
      seen = calls();
      idle = 0;
    } else if (idle === QUIET_TURNS) quiet();
  }
  return { ended: "hung" };
}
