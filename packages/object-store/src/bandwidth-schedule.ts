export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** Part of a day by the wall clock of the schedule's time zone. One that ends before it begins goes on past midnight. */
export type BandwidthWindow = {
  /** On which the window begins. */
  days: readonly Weekday[];
  fromMinute: number;
  /** Not part of it any more. */
  toMinute: number;
  bytesPerSecond: number;
};

export type BandwidthSchedule = {
  /** IANA: "Europe/Berlin". */
  timeZone: string;
  /** Outside every window; absent: no limit. */
  bytesPerSecond?: number | undefined;
  /** The first that a moment lies in counts. */
  windows: readonly BandwidthWindow[];
};

const DAY_MINUTES = 1440;

function wallClock(timeZone: string, atMs: number): { day: number; minute: number } {
  const format = { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  const parts = new Intl.DateTimeFormat("en-GB", format).formatToParts(atMs);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  const day = WEEKDAYS.findIndex((weekday) => part("weekday").toLowerCase().startsWith(weekday));
  return { day, minute: Number(part("hour")) * 60 + Number(part("minute")) };
}

function contains(window: BandwidthWindow, day: number, minute: number): boolean {
  const begins = (weekday: number) => window.days.includes(WEEKDAYS[(weekday + 7) % 7] ?? "mon");
  const { fromMinute, toMinute } = window;
  if (fromMinute < toMinute) return begins(day) && minute >= fromMinute && minute < toMinute;
  // Over midnight: the evening of the day that it begins on, or the morning after.
  return (begins(day) && minute >= fromMinute) || (begins(day - 1) && minute < toMinute % DAY_MINUTES);
}

/** What may be moved in a second at a moment; Infinity where nothing limits it. */
export function bytesPerSecondAt(schedule: BandwidthSchedule, atMs: number): number {
  const { day, minute } = wallClock(schedule.timeZone, atMs);
  const window = schedule.windows.find((each) => contains(each, day, minute));
  return window?.bytesPerSecond ?? schedule.bytesPerSecond ?? Number.POSITIVE_INFINITY;
}
