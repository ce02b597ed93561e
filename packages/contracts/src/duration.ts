import { z } from "zod";

/** `250ms`, `30s`, `5m`, `2h`, `7d`, `4w`; milliseconds once parsed. */
export const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h|d|w)$/, "must be a number and a unit: 250ms, 30s, 5m, 2h, 7d, 4w")
  .transform(durationMs);

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d|w)$/.exec(text);
  const unit = match?.[2] as keyof typeof UNIT_MS | undefined; // the regular expression allows no other
  return unit === undefined ? Number.NaN : Number(match?.[1]) * UNIT_MS[unit];
}
