import type { ScheduleEntry } from "@stillpoint/contracts/plan";
import { parseSchedule } from "@stillpoint/schedule/schedule";
import { describe, expect, test } from "vitest";
import { memoryAfterRefusal, memoryAfterRun, nextTick, type TickMemory } from "../src/tick.ts";

const MIDNIGHT = Date.parse("2026-03-03T00:00:00.000Z");
const minutes = (count: number) => MIDNIGHT + count * 60_000;
const RETRY_MS = 15 * 60_000;
const entriesOf = (...schedule: ScheduleEntry[]) => parseSchedule({ schedule, timeZone: "UTC" });
const namesOf = (tick: { due: readonly { name: string }[] } | undefined) => tick?.due.map(({ name }) => name);
const since = (through: number): TickMemory => ({ through, carried: [] });
const PERSON = { entries: [], dueAt: undefined };

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("expected something to be due");
  return value;
}

test("all entries of an instant are one run, and that instant never comes again", () => {
  const entries = entriesOf("every 5m", "daily");
  const tick = must(nextTick(entries, since(minutes(119)), minutes(120)));
  expect(tick.instant).toBe(minutes(120));
  expect(namesOf(tick)).toEqual(["every-5m", "daily"]);
  const after = memoryAfterRun(since(minutes(119)), tick);
  expect(nextTick(entries, after, minutes(120))).toBeUndefined();
  expect(nextTick(entries, after, minutes(60))).toBeUndefined();
  expect(namesOf(nextTick(entries, after, minutes(125)))).toEqual(["every-5m"]);
});

test("a slot whose publishing failed stays due: nothing is remembered that was not done", () => {
  const entries = entriesOf("every 5m");
  expect(nextTick(entries, since(minutes(1)), minutes(5))).toEqual(nextTick(entries, since(minutes(1)), minutes(9)));
});

test("two replicas that look at different moments find the same run", () => {
  const entries = entriesOf("every 5m", "hourly");
  expect(nextTick(entries, since(minutes(59)), minutes(60))).toEqual(
    nextTick(entries, since(minutes(59)), minutes(63)),
  );
});

test("after days away one run stands for all that was missed", () => {
  const entries = entriesOf("every 5m", "daily", "weekly");
  const tick = must(nextTick(entries, since(minutes(0)), minutes(9 * 1440 + 7)));
  expect(namesOf(tick)).toEqual(["every-5m", "daily", "weekly"]);
  expect(tick.instant).toBe(minutes(9 * 1440 + 5));
  expect(nextTick(entries, memoryAfterRun(since(minutes(0)), tick), minutes(9 * 1440 + 9))).toBeUndefined();
});

describe("a refused run", () => {
  const entries = entriesOf("every 5m", "daily");
  const memory = since(minutes(119));
  const tick = must(nextTick(entries, memory, minutes(120)));

  test("its longer entries go with the next run, the short one waits for its own next instant", () => {
    const after = memoryAfterRefusal(memory, tick, PERSON, entries, minutes(120), RETRY_MS);
    expect(after.carried).toEqual([{ name: "daily", slot: minutes(120) }]);
    expect(nextTick(entries, after, minutes(124))).toBeUndefined();
    const next = must(nextTick(entries, after, minutes(125)));
    expect(next.instant).toBe(minutes(125));
    expect(namesOf(next)).toEqual(["every-5m", "daily"]);
    expect(memoryAfterRun(after, next).carried).toEqual([]);
  });

  test("refused again, it is carried on again", () => {
    const once = memoryAfterRefusal(memory, tick, PERSON, entries, minutes(120), RETRY_MS);
    const next = must(nextTick(entries, once, minutes(125)));
    const twice = memoryAfterRefusal(once, next, PERSON, entries, minutes(125), RETRY_MS);
    expect(twice.carried).toEqual([{ name: "daily", slot: minutes(120) }]);
  });

  test("what the run under way stands for already is not carried", () => {
    const occupant = { entries: ["every-5m", "daily"], dueAt: minutes(120) };
    expect(memoryAfterRefusal(memory, tick, occupant, entries, minutes(121), RETRY_MS).carried).toEqual([]);
    const older = { entries: ["daily"], dueAt: minutes(120 - 1440) };
    expect(memoryAfterRefusal(memory, tick, older, entries, minutes(121), RETRY_MS).carried).toHaveLength(1);
  });

  test("an entry that is far from its next instant is offered again by itself, as the same run", () => {
    const daily = entriesOf("daily");
    const due = must(nextTick(daily, memory, minutes(120)));
    const after = memoryAfterRefusal(memory, due, PERSON, daily, minutes(120), RETRY_MS);
    expect(nextTick(daily, after, minutes(134))).toBeUndefined();
    expect(nextTick(daily, after, minutes(135))).toEqual(due);
  });

  test("an entry that left the plan, or that is due again by itself, is not carried on", () => {
    const after = memoryAfterRefusal(memory, tick, PERSON, entries, minutes(120), RETRY_MS);
    expect(namesOf(nextTick(entriesOf("every 5m"), after, minutes(125)))).toEqual(["every-5m"]);
    const tomorrow = must(nextTick(entries, after, minutes(120 + 1440)));
    expect(namesOf(tomorrow)).toEqual(["every-5m", "daily"]);
  });
});
