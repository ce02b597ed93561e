import type { ScheduleEntry } from "@stillpoint/contracts/plan";
import { describe, expect, test } from "vitest";
import { dueEntries, nextInstant, parseSchedule } from "../src/schedule.ts";

const at = (text: string) => Date.parse(text);
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
const parse = (schedule: ScheduleEntry[], timeZone = "UTC") => parseSchedule({ schedule, timeZone });
const only = (entry: ScheduleEntry, timeZone = "UTC") => {
  const [first] = parse([entry], timeZone);
  if (first === undefined) throw new Error("no entry");
  return first;
};

test.for([
  ["every 5m", "every-5m", "2026-03-03T10:05:00.000Z", 300_000],
  ["every 90s", "every-90s", "2026-03-03T10:06:00.000Z", 90_000],
  ["hourly", "hourly", "2026-03-03T10:00:00.000Z", 3_600_000],
  ["daily", "daily", "2026-03-03T02:00:00.000Z", 86_400_000],
  ["weekly", "weekly", "2026-03-01T03:00:00.000Z", 7 * 86_400_000],
  ["monthly", "monthly", "2026-03-01T04:00:00.000Z", 28 * 86_400_000],
] as const)("%s has its instants where people expect them", ([entry, name, last, intervalMs]) => {
  const parsed = only(entry);
  expect(parsed).toMatchObject({ name, intervalMs });
  expect(iso(parsed.lastSlot(at("2026-03-03T10:07:00.000Z")))).toBe(last);
  expect(parsed.nextSlot(at(last) - 1)).toBe(at(last));
  expect(parsed.lastSlot(at(last))).toBe(at(last));
});

describe("time zones", () => {
  test("a plan's zone counts for its presets, an entry's own for itself", () => {
    expect(iso(only("daily", "Europe/Berlin").lastSlot(at("2026-07-01T12:00:00Z")))).toBe("2026-07-01T00:00:00.000Z");
    const own = only({ name: "nightly", cron: "30 1 * * *", timeZone: "America/New_York" }, "Europe/Berlin");
    expect(iso(own.lastSlot(at("2026-07-01T12:00:00Z")))).toBe("2026-07-01T05:30:00.000Z");
  });

  test("a night in which the hour is missing has its instant all the same, a night that has it twice has it once", () => {
    const entry = only({ name: "n", cron: "30 2 * * *" }, "Europe/Berlin");
    const slots = (from: string, count: number) => {
      const found: (string | undefined)[] = [];
      let last = at(from);
      for (let n = 0; n < count; n += 1) {
        last = entry.nextSlot(last) ?? Number.NaN;
        found.push(iso(last));
      }
      return found;
    };
    expect(slots("2026-03-28T12:00:00Z", 2)).toEqual(["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
    expect(slots("2026-10-24T12:00:00Z", 2)).toEqual(["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]);
    expect(iso(entry.lastSlot(at("2026-10-25T12:00:00Z")))).toBe("2026-10-25T00:30:00.000Z");
  });
});

describe("due", () => {
  const entries = parse(["every 5m", "daily", "weekly"]);

  test("entries that share an instant are due together", () => {
    const due = dueEntries(entries, at("2026-03-03T01:59:00Z"), at("2026-03-03T02:00:00Z"));
    expect(due.map(({ name, slot }) => [name, iso(slot)])).toEqual([
      ["every-5m", "2026-03-03T02:00:00.000Z"],
      ["daily", "2026-03-03T02:00:00.000Z"],
    ]);
  });

  test("nothing is due between instants, nor at an instant that was dealt with", () => {
    expect(dueEntries(entries, at("2026-03-03T02:00:00Z"), at("2026-03-03T02:04:59.999Z"))).toEqual([]);
    expect(dueEntries(entries, at("2026-03-03T02:05:00Z"), at("2026-03-03T02:05:00Z"))).toEqual([]);
  });

  test("after a week away each entry is due once, at its newest instant", () => {
    const due = dueEntries(entries, at("2026-03-01T00:00:00Z"), at("2026-03-09T12:01:00Z"));
    expect(due.map(({ name, slot }) => [name, iso(slot)])).toEqual([
      ["every-5m", "2026-03-09T12:00:00.000Z"],
      ["daily", "2026-03-09T02:00:00.000Z"],
      ["weekly", "2026-03-08T03:00:00.000Z"],
    ]);
  });

  test("a clock that goes back yields no instant twice, at any step", () => {
    let through = at("2026-03-03T00:00:00Z");
    const seen: string[] = [];
    for (const minutes of [4, 5, 9, 3, 5, 10, 1, 10, 16]) {
      for (const { name, slot } of dueEntries(entries, through, at("2026-03-03T00:00:00Z") + minutes * 60_000)) {
        seen.push(`${name} ${iso(slot)}`);
        through = Math.max(through, slot);
      }
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(3);
  });

  test("the next instant is the nearest of all", () => {
    expect(iso(nextInstant(entries, at("2026-03-03T01:58:00Z")))).toBe("2026-03-03T02:00:00.000Z");
    expect(nextInstant([], 0)).toBeUndefined();
  });
});

test.for([
  [{ name: "a", cron: "61 * * * *" }, "schedule.0", "minute"],
  [{ name: "a", cron: "* * * *" }, "schedule.0", "five fields"],
  [{ name: "a", cron: "0 * * * * *" }, "schedule.0", "five fields"],
  [{ name: "a", cron: "0 0 30 2 *" }, "schedule.0", "no date"],
  [{ name: "a", cron: "0 0 * * *", timeZone: "Mars/Base" }, "schedule.0", "Mars/Base is no time zone"],
  ["every 0m", "schedule.0", "longer than zero"],
] as const)("what cannot be understood, %j, is refused with its place and reason", ([entry, where, why]) => {
  expect(() => parse([entry])).toThrow(
    expect.objectContaining({ code: "PLAN_INVALID", where, why: expect.stringContaining(why) }),
  );
});

test("two entries of one name are refused: a point says by name which entries it stands for", () => {
  expect(() => parse(["daily", { name: "daily", cron: "0 5 * * *" }])).toThrow(
    expect.objectContaining({ code: "PLAN_INVALID" }),
  );
});
