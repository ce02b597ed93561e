import type { LogRange } from "@stillpoint/contracts/log";
import { logRangeOf } from "@stillpoint/driver-postgres/log-position";
import { parseLsn } from "@stillpoint/driver-postgres/lsn";
import type { SourceLog } from "@stillpoint/repository/log/source-log";
import { describe, expect, it } from "vitest";
import { followTimeline, parseMoment, servingOf } from "../src/moment.ts";

const range = (timeline: number, from: string, to: string): LogRange =>
  logRangeOf(timeline, parseLsn(from), parseLsn(to));
const full = (backupId: string, of: LogRange, storedMs: number) => ({
  backupId,
  range: of,
  storedMs,
  startedAt: new Date(storedMs).toISOString(),
});
const closed = (backupId: string, of: LogRange, storedMs: number) => ({ backupId, range: of, storedMs, bytes: 1 });

/** Timeline 1 was left at 0/5000100 for timeline 2; both went on, as after a fail-over. */
const log: SourceLog = {
  fulls: [
    full("first", range(1, "0/1000000", "0/1000100"), 1_000),
    full("second", range(1, "0/3000000", "0/3000100"), 3_000),
    full("third", range(2, "0/6000000", "0/6000100"), 6_000),
  ],
  closed: [
    closed("c1", range(1, "0/1000000", "0/6000000"), 5_000),
    closed("c2", { ...range(2, "0/5000000", "0/8000000"), after: { ...streamAt(1, "0/5000100") } }, 8_000),
  ],
  tails: [],
  gaps: [],
  damaged: [],
};

function streamAt(timeline: number, lsn: string) {
  const { stream, to } = range(timeline, lsn, lsn);
  return { stream, at: to };
}

describe("a moment of a PostgreSQL", () => {
  it.each([
    ["latest", { by: "latest" }],
    ["immediate", { by: "immediate" }],
    ["lsn:0/3000060", { by: "position", at: "0/3000060", inclusive: true }],
    ["tx:1234", { by: "transaction", id: "1234", inclusive: true }],
    ["name:before import", { by: "name", name: "before import" }],
    ["2027-01-31T12:34:56.789123Z", { by: "time", at: "2027-01-31T12:34:56.789123Z" }],
  ])("is said as %s", (text, target) => {
    expect(parseMoment(text, true)).toEqual(target);
  });

  it("may be stopped before: what is named is not replayed then", () => {
    expect(parseMoment("lsn:0/3000060", false)).toMatchObject({ inclusive: false });
    expect(parseMoment("tx:1234", false)).toMatchObject({ inclusive: false });
    expect(parseMoment("2027-01-31T12:34:56Z", false)).toMatchObject({ inclusive: false });
  });

  it.each(["yesterday", "2027-01-31", "2027-01-31T12:34:56+01:00", "2027-13-31T12:34:56Z", "lsn:", "xid:7"])(
    "is not said as %s",
    (text) => {
      expect(() => parseMoment(text, true)).toThrow(/none of: latest, immediate/);
    },
  );

  it.each([
    ["lsn:0/3000100", "second"],
    // The base that is newest before it has not ended there.
    ["lsn:0/3000080", "first"],
    ["lsn:0/7000000", "third"],
    ["immediate", "third"],
    ["latest", "third"],
    // Nobody can tell when that was: the log is followed from the first base.
    ["tx:1234", "first"],
    ["name:before import", "first"],
  ])("%s is restored from the newest base that ended before it: %s", async (text, base) => {
    expect((await servingOf(log, "postgres", parseMoment(text, true))).base).toBe(base);
  });

  it("follows the timeline that it is told to: the newest one, that of the newest base, or one that was left", async () => {
    const newestOn = async (timeline: string, of = log) => {
      const { base, at } = await servingOf(await followTimeline(of, "postgres", timeline), "postgres", {
        by: "latest",
      });
      return [base, at.stream, at.at];
    };
    const onSecond = ["third", ...Object.values(streamAt(2, "0/8000000"))];
    expect(await newestOn("latest")).toEqual(onSecond);
    expect(await newestOn("2")).toEqual(onSecond);
    expect(await newestOn("1")).toEqual(["second", ...Object.values(streamAt(1, "0/6000000"))]);
    const older = { ...log, fulls: log.fulls.slice(0, 2) };
    expect(await newestOn("current", older)).toEqual(["second", ...Object.values(streamAt(1, "0/6000000"))]);
    expect(await newestOn("latest", older)).toEqual(["second", ...Object.values(streamAt(2, "0/8000000"))]);
    await expect(followTimeline(log, "postgres", "newest")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(followTimeline(log, "sqlite", "1")).rejects.toMatchObject({ why: expect.stringContaining("sqlite") });
  });
});
