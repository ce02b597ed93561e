import { describe, expect, test } from "vitest";
import type { BaseFacts } from "../src/base-facts.ts";
import { fullInMs } from "../src/fetch-pace.ts";
import { layout } from "../src/layout.ts";
import { logPositionOf, logRangeOf, walPositionOf } from "../src/log-position.ts";
import { parseLsn } from "../src/lsn.ts";
import { type Recovery, recoveryMark, tailEntry } from "../src/recovery-target.ts";
import { shipSlotName } from "../src/ship-slot.ts";
import { type SlotState, startFrom } from "../src/ship-start.ts";
import { historyText, parentOf, parseHistory, timelineAfter, timelineAt } from "../src/timeline-history.ts";

const MB16 = 16 * 1024 * 1024;
const at = (timeline: number, lsn: string) => ({ timeline, at: parseLsn(lsn) });
const HISTORY = "1\t0/3000148\tno recovery target specified\n\n2\t0/7000000\tbefore 2026\n";
const ancestry = parseHistory(HISTORY);

test("a place in the log is a WAL position, sorts as it follows, and nothing else is one", () => {
  const position = logPositionOf(at(26, "1A/FF000010"));
  expect(position).toEqual({ stream: "0000001A", at: "0000001AFF000010" });
  expect(walPositionOf(position)).toEqual(at(26, "1A/FF000010"));
  expect(logPositionOf(at(1, "0/9")).at < logPositionOf(at(1, "0/A")).at).toBe(true);
  expect(() => walPositionOf({ stream: "salts", at: "12" })).toThrow(/not a position/);
});

test("a timeline's history says whom it comes from, and can be written anew", () => {
  expect(ancestry).toEqual([at(1, "0/3000148"), at(2, "0/7000000")]);
  expect(parseHistory(historyText(ancestry))).toEqual(ancestry);
  expect([1, 2].map((each) => timelineAfter(ancestry, each, 3))).toEqual([2, 3]);
  expect([1, 2, 3].map((each) => parentOf(ancestry, each))).toEqual([undefined, ...ancestry]);
  expect(["0/3000147", "0/3000148", "0/7000000"].map((lsn) => timelineAt(ancestry, parseLsn(lsn), 3))).toEqual([
    1, 2, 3,
  ]);
});

describe("the segment that a busy server writes is full", () => {
  const received = parseLsn("0/3400000"); // a quarter of it is
  const next = (bytesPerMs: number) => fullInMs({ received, segmentBytes: MB16, bytesPerMs, withinMs: 5_000 });

  test("not before a flush is due, where little is written", () => {
    expect(next(0)).toBeUndefined();
    expect(next(2_500)).toBeUndefined();
  });

  test("a little later than it seems, and never so soon that looks follow each other without a rest", () => {
    expect(next(5_000)).toBeCloseTo(1.05 * ((0.75 * MB16) / 5_000), 6);
    expect(next(1_000_000)).toBe(625);
  });
});

test("each plan that ships a server has a slot of its own, by a name that PostgreSQL takes", () => {
  const names = ["shop/orders", "shop/stock", "ledger/orders"].map(shipSlotName);
  expect(new Set(names).size).toBe(3);
  for (const name of names) expect(name).toMatch(/^stillpoint_[0-9a-f]{16}$/);
  expect(shipSlotName("shop/orders")).toBe(names[0]);
});

describe("the log goes on", () => {
  const server = { timeline: 3, ancestry, flush: parseLsn("0/9000000"), segmentBytes: MB16 };
  const slot = (restart: string | null, status = "reserved"): SlotState => ({
    restart: restart === null ? null : parseLsn(restart),
    status,
  });

  test("from what is held, where a slot has kept the WAL since", () => {
    expect(startFrom(at(3, "0/8000100"), slot("0/8000100"), server)).toEqual({ from: at(3, "0/8000100") });
    expect(startFrom(at(3, "0/8000100"), slot("0/8000200", "unreserved"), server)).toEqual({
      from: at(3, "0/8000100"),
    });
    expect(startFrom(at(1, "0/2000000"), slot("0/2000000"), server)).toEqual({ from: at(1, "0/2000000") });
  });

  test("from the branch, where the server has left the timeline that was shipped, also beyond it", () => {
    for (const held of ["0/3000148", "0/4000000"]) {
      expect(startFrom(at(1, held), slot("0/3000000"), server)).toEqual({ from: at(2, "0/3000148") });
    }
  });

  test.each([
    ["the slot is missing", at(3, "0/8000100"), undefined, "no replication slot"],
    ["the slot is lost", at(3, "0/8000100"), slot("0/8000100", "lost"), "max_slot_wal_keep_size"],
    ["the slot keeps nothing", at(3, "0/8000100"), slot(null), "max_slot_wal_keep_size"],
    ["the slot is of later", at(3, "0/7000100"), slot("0/8000000"), "from 0/8000000 on only"],
    ["the server stands before", at(3, "0/A000000"), slot("0/8000000"), "gone back"],
    ["the timeline is none of its past", at(5, "0/8000100"), slot("0/8000000"), "does not come from timeline 5"],
  ])("not, where %s: a gap that says so", (_, held, kept, why) => {
    expect(startFrom(held, kept, server)).toEqual({ gap: expect.stringContaining(why) });
  });
});

describe("a moment", () => {
  const base: BaseFacts = {
    timeline: 1,
    start: parseLsn("0/2000028"),
    end: parseLsn("0/2000100"),
    segmentBytes: MB16,
    database: "shop",
    bootstrapUser: "postgres",
    settings: {},
    preload: [],
    tablespaces: [],
  };
  const segments = ["000000010000000000000002", "000000020000000000000003"];
  const files = [
    ...["PG_VERSION", "global/pg_control", "backup_label"].map((path) => ({ path, size: 1 })),
    ...segments.map((name, index) => ({ path: `pg_wal/${name}`, size: index === 1 ? 0x500 : MB16 })),
  ];
  const cutId = "0191b6a0-0000-7000-8000-000000000001";
  const stepsTo = (target: Recovery["target"], more: Partial<Recovery> = {}) => {
    const recovery = { target, timeline: 2, ancestry: ancestry.slice(0, 1), until: parseLsn("0/3000500"), ...more };
    return layout(files, recoveryMark(base, recovery, cutId));
  };
  const linesOf = (steps: ReturnType<typeof layout>) =>
    steps.flatMap((step) => (step.do === "write" && step.path === "postgresql.conf" ? step.content.split("\n") : []));

  test.each<[Recovery["target"], string[]]>([
    [{ by: "name", name: "it's" }, ["recovery_target_name = 'it''s'"]],
    [{ by: "lsn", at: parseLsn("0/30") }, ["recovery_target_lsn = '0/30'", "recovery_target_inclusive = 'off'"]],
    [{ by: "xid", xid: "77", inclusive: true }, ["recovery_target_xid = '77'", "recovery_target_inclusive = 'on'"]],
    [
      { by: "time", at: "2026-01-02T03:04:05.678901Z" },
      ["recovery_target_time = '2026-01-02 03:04:05.678901+00'", "recovery_target_inclusive = 'off'"],
    ],
    // The log's very end.
    [{ by: "lsn", at: parseLsn("0/3000500") }, []],
    [{ by: "immediate" }, ["recovery_target = 'immediate'"]],
    [{ by: "latest" }, []],
  ])("%o is what PostgreSQL is told, and nothing else of where to stop", (target, expected) => {
    const stops = linesOf(stepsTo(target)).filter((line) => /^recovery_target(?!_timeline|_action)/.test(line));
    expect(stops).toEqual(expected);
  });

  test("stops where it was chosen to: promoted, paused for a look, shut down", () => {
    expect(linesOf(stepsTo({ by: "latest" }))).toContain("recovery_target_action = 'promote'");
    const paused = linesOf(stepsTo({ by: "latest" }, { action: "pause" }));
    expect(paused).toEqual(expect.arrayContaining(["recovery_target_action = 'pause'", "hot_standby = 'on'"]));
  });

  test("goes over timelines: the branching segment is the later one's, filled up with zeros, with its history", () => {
    const steps = stepsTo({ by: "latest" });
    expect(steps).toContainEqual({ do: "truncate", path: `pg_wal/${segments[1]}`, size: MB16 });
    expect(steps.filter((step) => step.do === "truncate")).toHaveLength(1);
    const history = { do: "write", path: "pg_wal/00000002.history", mode: 0o600 } as const;
    expect(steps).toContainEqual({ ...history, content: historyText(ancestry.slice(0, 1)) });
    expect(() => stepsTo({ by: "latest" }, { until: parseLsn("0/3000501") })).toThrow(/not whole/);
    expect(() => stepsTo({ by: "latest" }, { ancestry: [] })).toThrow(/000000020000000000000002/);
  });

  test("a tail lies in its segment where its range says", () => {
    const entry = tailEntry(logRangeOf(2, parseLsn("0/3000100"), parseLsn("0/3000500")), 0, MB16);
    expect(entry).toMatchObject({ path: `pg_wal/${segments[1]}`, offset: 0x100, size: 0x400 });
    expect(tailEntry(logRangeOf(2, parseLsn("0/3000000"), parseLsn("0/3000500")), 0, MB16).offset).toBeUndefined();
  });
});
