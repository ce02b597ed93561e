const UNITS: readonly [number, string][] = [
  [7 * 86_400_000, "weeks"],
  [86_400_000, "days"],
  [3_600_000, "hours"],
  [60_000, "minutes"],
  [1_000, "seconds"],
];

/** The largest unit that it is a whole number of, at least two of it: `24 hours`, `7 days`, `52 weeks`, `15 minutes`. */
export function wordsOf(ms: number): string {
  const [unitMs, unit] = UNITS.find(([unitMs]) => ms % unitMs === 0 && ms / unitMs > 1) ?? [1, "ms"];
  return `${ms / unitMs} ${unit}`;
}
