import type { LogRange } from "@stillpoint/contracts/log";
import { describe, expect, it } from "vitest";
import { serveMoment, serveWholeWindow } from "../src/log/moment.ts";
import type { Serving } from "../src/log/serve.ts";
import type { SourceLog } from "../src/log/source-log.ts";

type Log = Omit<SourceLog, "damaged">;

const MINUTE = 60_000;
const place = (at: number) => String(at).padStart(5, "0");
const range = (from: number, to: number): LogRange => ({ stream: "a", from: place(from), to: place(to) });
const full = (backupId: string, from: number, to: number, minute: number) => ({
  backupId,
  range: range(from, to),
  storedMs: minute * MINUTE,
  startedAt: new Date(minute * MINUTE).toISOString(),
});
/** A stretch of a hundred places each minute, stored when it was written. */
const closed = (first: number, last: number) =>
  Array.from({ length: last - first }, (_, i) => ({
    backupId: `c${first + i}`,
    range: range((first + i) * 100, (first + i + 1) * 100),
    storedMs: (first + i + 1) * MINUTE,
    bytes: 1,
  }));
const read = ({ base, at }: Serving) => [base, at.at];

const log: Log = {
  fulls: [full("first", 0, 50, 1), full("second", 3_000, 3_050, 31), full("later", 9_000, 9_050, 91)],
  closed: [...closed(0, 60), ...closed(90, 120)],
  tails: [],
  gaps: [],
};

describe("a moment", () => {
  it("is restored from the newest base before it, and from the log until well behind it", () => {
    expect(read(serveMoment(log, 12 * MINUTE))).toEqual(["first", place(2_200)]);
    expect(read(serveMoment(log, 30 * MINUTE))).toEqual(["first", place(4_000)]);
    expect(read(serveMoment(log, 32 * MINUTE))).toEqual(["second", place(4_200)]);
    expect(read(serveMoment(log, 119 * MINUTE))).toEqual(["later", place(12_000)]);
  });

  it("within the newest flush, or after it, has all of the log: what was committed last may be older than its storing", () => {
    expect(read(serveMoment(log, 500 * MINUTE))).toEqual(["later", place(12_000)]);
  });

  it("where there is no log, or no base before it, is refused with those that are near", () => {
    expect(() => serveMoment(log, 80 * MINUTE)).toThrow(
      expect.objectContaining({ code: "LOG_GAP", hint: expect.stringMatching(/01:00:00.000Z, .*01:31:00.000Z/) }),
    );
    expect(() => serveMoment(log, 0)).toThrow(
      expect.objectContaining({ code: "LOG_GAP", hint: expect.stringMatching(/00:01:00.000Z/) }),
    );
    expect(() => serveMoment({ ...log, fulls: [] }, MINUTE)).toThrow(expect.objectContaining({ code: "LOG_GAP" }));
  });
});

it("a target in the store's own words is looked for from the first base of the newest window", () => {
  const two = { ...log, fulls: [...log.fulls, full("newest", 11_000, 11_050, 111)] };
  expect(read(serveWholeWindow(two))).toEqual(["later", place(12_000)]);
});
