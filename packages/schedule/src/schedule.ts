import { StillpointError } from "@stillpoint/contracts/errors";
import type { Plan, ScheduleEntry } from "@stillpoint/contracts/plan";
import { Cron } from "croner";

/** One line of a plan's schedule, as something that can be asked for its instants. All times are epoch milliseconds. */
export type Entry = {
  /** `every-5m`, `daily`, or the name that the plan gives. */
  name: string;
  /** How far its instants are apart; for calendars the usual distance. */
  intervalMs: number;
  /** The newest instant that is not after `at`; undefined where there was none. */
  lastSlot: (at: number) => number | undefined;
  /** The first instant after `at`; undefined where there is none any more. */
  nextSlot: (at: number) => number | undefined;
};

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** At night, one after the other, so that on the first of a month that is a Sunday each still has its own instant. */
const CALENDARS: Readonly<Record<string, string>> = {
  hourly: "0 * * * *",
  daily: "0 2 * * *",
  weekly: "0 3 * * 0",
  monthly: "0 4 1 * *",
};

/** A plan's schedule; PLAN_INVALID names the entry that cannot be understood. */
export function parseSchedule(plan: Pick<Plan, "schedule" | "timeZone">): Entry[] {
  const entries = plan.schedule.map((entry, at) => parseEntry(entry, plan.timeZone, `schedule.${at}`));
  const twice = entries.find(({ name }, at) => entries.findIndex((other) => other.name === name) !== at);
  if (twice === undefined) return entries;
  throw invalid("schedule", `there are two entries of the name ${twice.name}`);
}

function parseEntry(entry: ScheduleEntry, timeZone: string, where: string): Entry {
  if (typeof entry !== "string") return calendar(entry.name, entry.cron, entry.timeZone ?? timeZone, where);
  const pattern = CALENDARS[entry];
  if (pattern !== undefined) return calendar(entry, pattern, timeZone, where);
  const match = /^every (\d+)([smhd])$/.exec(entry);
  const unit = match?.[2] as keyof typeof UNIT_MS | undefined; // the regular expression allows no other
  if (unit === undefined) throw invalid(where, `${JSON.stringify(entry)} is neither a preset nor a cron expression`);
  return steady(`every-${match?.[1]}${unit}`, Number(match?.[1]) * UNIT_MS[unit], where);
}

/** Counted from the epoch, so that every replica, and every start of one, finds the same instants. */
function steady(name: string, intervalMs: number, where: string): Entry {
  if (intervalMs === 0) throw invalid(where, "the interval must be longer than zero");
  const lastSlot = (at: number) => Math.floor(at / intervalMs) * intervalMs;
  return { name, intervalMs, lastSlot, nextSlot: (at) => lastSlot(at) + intervalMs };
}

function calendar(name: string, pattern: string, timeZone: string, where: string): Entry {
  const cron = openCron(pattern, timeZone, where);
  const nextSlot = (at: number) => cron.nextRun(new Date(at))?.getTime();
  // Asked every second for the same answer, for hours: a search in a calendar costs a quarter of a millisecond.
  let known: { from: number; until: number; slot: number } | undefined;
  const lastSlot = (at: number) => {
    if (known !== undefined && at >= known.from && at < known.until) return known.slot;
    // croner looks for what lies before its argument: an instant that is exactly now counts as well.
    const slot = cron.previousRuns(1, new Date(at + 1))[0]?.getTime();
    if (slot !== undefined) known = { from: slot, until: nextSlot(at) ?? Number.POSITIVE_INFINITY, slot };
    return slot;
  };
  return { name, intervalMs: usualDistance(nextSlot), lastSlot, nextSlot };
}

function openCron(pattern: string, timeZone: string, where: string): Cron {
  if (pattern.trim().split(/\s+/).length !== 5) {
    throw invalid(where, `${JSON.stringify(pattern)} must have five fields: minute, hour, day, month, weekday`);
  }
  try {
    const cron = new Cron(pattern, { timezone: timeZone, paused: true, mode: "5-part" });
    if (cron.nextRun(new Date(0)) === null) throw new RangeError("no date ever matches it");
    return cron;
  } catch (error) {
    // The library tells a wrong zone in three nested sentences.
    const isZone = error instanceof Error && /timezone/i.test(error.message);
    const why = isZone ? `${timeZone} is no time zone` : error instanceof Error ? error.message : String(error);
    throw invalid(where, `${JSON.stringify(pattern)}: ${why}`, error);
  }
}

/** The smallest of some distances: a day of a change of clocks is longer or shorter than the others. */
function usualDistance(nextSlot: (at: number) => number | undefined): number {
  const distances: number[] = [];
  let at = nextSlot(0);
  for (let count = 0; count < 12 && at !== undefined; count += 1) {
    const next = nextSlot(at);
    if (next === undefined) break;
    distances.push(next - at);
    at = next;
  }
  return distances.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...distances);
}

function invalid(where: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("PLAN_INVALID", {
    what: "Cannot understand the schedule",
    where,
    why,
    hint: 'write `every 5m`, hourly, daily, weekly, monthly, or {name: nightly, cron: "30 1 * * *", timeZone: Europe/Berlin}',
    cause,
  });
}

export type Due = { name: string; slot: number; intervalMs: number };

/**
 * What is due at `now` and was not before: of each entry only its newest instant, for one run stands for all that were
 * missed while nobody looked. Nothing is due twice, whichever way the clock goes, as long as `through` only grows.
 */
export function dueEntries(entries: readonly Entry[], through: number, now: number): Due[] {
  return entries.flatMap(({ name, intervalMs, lastSlot }) => {
    const slot = lastSlot(now);
    return slot !== undefined && slot > through ? [{ name, slot, intervalMs }] : [];
  });
}

/** When something is due next after `at`. */
export function nextInstant(entries: readonly Entry[], at: number): number | undefined {
  const slots = entries.flatMap(({ nextSlot }) => nextSlot(at) ?? []);
  return slots.length === 0 ? undefined : Math.min(...slots);
}
