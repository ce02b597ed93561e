import type { KeepPreset, KeepRule } from "@stillpoint/contracts/keep";

export const CALENDAR_UNITS = ["hour", "day", "week", "month", "year"] as const;
export type CalendarUnit = (typeof CALENDAR_UNITS)[number];

/**
 * One reason to keep points. Ages are counted from the newest whole point, not from the clock: a plan that stands still
 * loses nothing, and neither does one whose clock went wrong.
 */
export type Rule =
  | { rule: "last"; count: number }
  /** All points that are at most this old. */
  | { rule: "within"; ms: number }
  /** One of each stretch of time, as far back as `withinMs`. */
  | { rule: "every"; ms: number; withinMs: number }
  /** One of each hour, day, … of the plan's time zone: of the newest `count` that have any, or as far back as `withinMs`. */
  | { rule: "calendar"; unit: CalendarUnit; count?: number; withinMs?: number };

export type Policy = {
  /** As people know it: a preset's name, or `numbers`. */
  name: string;
  rules: readonly Rule[];
  minimum: number;
  /** How far back the log is kept. */
  logMs: number;
  timeZone: string;
};

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

const counted = (unit: CalendarUnit, count: number): Rule => ({ rule: "calendar", unit, count });
const aged = (unit: CalendarUnit, withinMs: number): Rule => ({ rule: "calendar", unit, withinMs });

export const PRESETS: Readonly<Record<KeepPreset, readonly Rule[]>> = {
  /** A point that grows old is promoted from tier to tier, or goes. */
  "tiered-15m": [
    { rule: "every", ms: 15 * MINUTE_MS, withinMs: DAY_MS },
    aged("hour", WEEK_MS),
    aged("day", 4 * WEEK_MS),
    aged("week", 52 * WEEK_MS),
  ],
  "30-12-6": [counted("day", 30), counted("week", 12), counted("month", 6)],
  "7-4-12": [counted("day", 7), counted("week", 4), counted("month", 12)],
  "flat-30d": [{ rule: "within", ms: 30 * DAY_MS }],
};

export function policyOf(keep: KeepRule, timeZone: string): Policy {
  const rest = { minimum: keep.minimum, logMs: keep.log, timeZone };
  if (typeof keep.points === "string") return { name: keep.points, rules: PRESETS[keep.points], ...rest };
  const { last, within, hourly, daily, weekly, monthly, yearly } = keep.points;
  const units: [CalendarUnit, number | undefined][] = [
    ["hour", hourly],
    ["day", daily],
    ["week", weekly],
    ["month", monthly],
    ["year", yearly],
  ];
  const rules: Rule[] = [];
  if (last !== undefined) rules.push({ rule: "last", count: last });
  if (within !== undefined) rules.push({ rule: "within", ms: within });
  for (const [unit, count] of units) if (count !== undefined) rules.push(counted(unit, count));
  return { name: "numbers", rules, ...rest };
}
