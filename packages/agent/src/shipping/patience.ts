const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;

/** Pauses between tries: twice as long each time, up to a minute. `random` is in [0, 1): a crowd does not return together. */
export function pauseMs(attempt: number, random: number): number {
  const grown = Math.min(FIRST_MS * 2 ** Math.min(attempt - 1, 30), LONGEST_MS);
  return Math.round(grown * (0.75 + random / 2));
}

/** Who fails at once each time must not be tried every second for ever because it began well each time. */
export function nextAttempt(attempt: number, livedMs: number): number {
  return livedMs > LONGEST_MS ? 1 : attempt + 1;
}
