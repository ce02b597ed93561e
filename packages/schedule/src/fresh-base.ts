import type { Entry } from "./schedule.ts";

/** Points of entries so far apart are kept for days or longer: they rest on a fresh base, with little log over it. */
const LONG_MS = 86_400_000;
/** A base stored so recently is fresh. */
export const FRESH_MS = 6 * 3_600_000;

/** Of a schedule, the entries whose points rest on a fresh base. */
export function longEntries(entries: readonly Entry[]): Entry[] {
  return entries.filter(({ intervalMs }) => intervalMs >= LONG_MS);
}
