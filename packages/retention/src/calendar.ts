import type { CalendarUnit } from "./policy.ts";

const DAY_MS = 86_400_000;

/**
 * Names the hour, day, ISO week, month or year of a moment as the clocks on the wall of a time zone have it. The hour that
 * comes twice when clocks go back is two hours, the one that is skipped is none: the name carries the offset.
 */
export function calendarOf(timeZone: string): (unit: CalendarUnit, epochMs: number) => string {
  const format = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    calendar: "iso8601",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    timeZoneName: "longOffset",
  });
  const known = new Map<number, Record<"year" | "month" | "day" | "hour" | "offset", string>>();
  const partsOf = (epochMs: number) => {
    const found = known.get(epochMs);
    if (found !== undefined) return found;
    const parts = Object.fromEntries(format.formatToParts(epochMs).map(({ type, value }) => [type, value]));
    const { year = "", month = "", day = "", hour = "", timeZoneName = "" } = parts;
    const made = { year, month, day, hour, offset: timeZoneName.replace("GMT", "") || "+00:00" };
    known.set(epochMs, made);
    return made;
  };
  return (unit, epochMs) => {
    const { year, month, day, hour, offset } = partsOf(epochMs);
    if (unit === "year") return year;
    if (unit === "month") return `${year}-${month}`;
    if (unit === "day") return `${year}-${month}-${day}`;
    if (unit === "hour") return `${year}-${month}-${day}T${hour}${offset}`;
    return isoWeek(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  };
}

/** ISO 8601: weeks begin on Monday, and belong to the year that their Thursday is in. */
function isoWeek(dayMs: number): string {
  const weekday = (new Date(dayMs).getUTCDay() + 6) % 7;
  const thursday = dayMs + (3 - weekday) * DAY_MS;
  const year = new Date(thursday).getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1)) / DAY_MS / 7) + 1;
  return `${year}-W${String(week).padStart(2, "0")}`;
}
