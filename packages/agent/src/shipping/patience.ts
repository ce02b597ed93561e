const FIRST_MS = 1_000;
/** What is written between a server's return and the next try is what a disaster takes: a try costs less than that. */
const LONGEST_MS = 4_000;
/** Who began well and fails at once each time is not tried every second for ever. */
const FLOWED_MS = 4_000;

/** Pauses between tries: twice as long each time, up to some seconds. `random` is in [0, 1): a crowd does not return together. */
export function pauseMs(attempt: number, random: number): number {
  const grown = Math.min(FIRST_MS * 2 ** Math.min(attempt - 1, 30), LONGEST_MS);
  return Math.round(grown * (0.75 + random / 2));
}

/** Counts the tries of one log since it flowed last. */
export function triesOf(monotonicMs: () => number, pauseOf: (attempt: number) => number) {
  let attempt = 0;
  let flowsSinceMs: number | undefined;
  return {
    flows: () => {
      flowsSinceMs ??= monotonicMs();
    },
    failed: (): { attempt: number; againInMs: number } => {
      const flowed = flowsSinceMs !== undefined && monotonicMs() - flowsSinceMs >= FLOWED_MS;
      flowsSinceMs = undefined;
      attempt = flowed ? 1 : attempt + 1;
      return { attempt, againInMs: pauseOf(attempt) };
    },
  };
}

const TOLD_AT_FIRST = 4;
const TOLD_EVERY_MS = 60_000;

/** Of failures that follow one another every few seconds, the first ones are told, and then one a minute. */
export function newsOf(monotonicMs: () => number) {
  let toldMs = Number.NEGATIVE_INFINITY;
  return (attempt: number): boolean => {
    if (attempt > TOLD_AT_FIRST && monotonicMs() - toldMs < TOLD_EVERY_MS) return false;
    toldMs = monotonicMs();
    return true;
  };
}
