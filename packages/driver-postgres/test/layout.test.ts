import type { Mark } from "@stillpoint/contracts/point";
import { describe, expect, test } from "vitest";
import { layout } from "../src/layout.ts";
import { parseLocator } from "../src/locator.ts";
import { formatLsn, historyName, parseLsn, segmentName, segmentStarts } from "../src/lsn.ts";
import { neededPreload } from "../src/preload.ts";
import { hintOf } from "../src/relation-file.ts";

const MB16 = 16 * 1024 * 1024;
const cutId = "0191b6a0-0000-7000-8000-000000000001";
const mark: Mark = {
  cutId,
  position: `sp_${cutId} at 1/1000028, timeline 3`,
  detail: {
    target: { by: "name", name: `sp_${cutId}` },
    lsn: "1/1000028",
    timeline: 3,
    start: "0/FF000028",
    until: "1/1000050",
    segmentBytes: MB16,
    database: "shop",
    bootstrapUser: "postgres",
    settings: { max_connections: "321", max_replication_slots: "17" },
    preload: ["timescaledb"],
  },
  notes: [],
};
const segments = ["0000000300000000000000FF", "000000030000000100000000", "000000030000000100000001"];
const files = [
  ...["PG_VERSION", "global/pg_control", "backup_label", "base/1/1259"].map((path) => ({ path, size: 1 })),
  ...segments.map((segment) => ({ path: `pg_wal/${segment}`, size: MB16 })),
];
const configuration = (steps: ReturnType<typeof layout>) =>
  steps.flatMap((step) => (step.do === "write" && step.path === "postgresql.conf" ? [step.content] : [])).join();

describe("a WAL position", () => {
  test("is read and written as PostgreSQL does, and names its segment", () => {
    expect(formatLsn(parseLsn("16/B374D848"))).toBe("16/B374D848");
    expect(segmentName(1, parseLsn("0/2000028"), MB16)).toBe("000000010000000000000002");
    expect(segmentName(10, parseLsn("1A/FF000000"), MB16)).toBe("0000000A0000001A000000FF");
    expect(segmentName(1, parseLsn("2/40000000"), 1024 ** 3)).toBe("000000010000000200000001");
    expect(historyName(18)).toBe("00000012.history");
    expect(() => parseLsn("nonsense")).toThrow();
  });

  test("on a segment's first byte does not ask for that segment", () => {
    const starts = (from: string, until: string) => segmentStarts(parseLsn(from), parseLsn(until), MB16).map(formatLsn);
    expect(starts("0/2000028", "0/4000000")).toEqual(["0/2000000", "0/3000000"]);
    expect(starts("0/2000028", "0/4000001")).toEqual(["0/2000000", "0/3000000", "0/4000000"]);
  });
});

describe("the layout", () => {
  test("recovers to the mark's name on its own timeline, with nothing of the source's configuration", () => {
    const steps = layout([...files, { path: "postgresql.auto.conf", size: 9 }], mark);
    const text = configuration(steps);
    for (const line of [
      `recovery_target_name = 'sp_${cutId}'`,
      "recovery_target_timeline = '3'",
      "archive_mode = 'off'",
      "primary_conninfo = ''",
      "max_logical_replication_workers = '0'",
      "listen_addresses = ''",
      "max_connections = '321'",
      "max_replication_slots = '17'",
      "shared_preload_libraries = 'timescaledb'",
    ]) {
      expect(text.split("\n").filter((each) => each.startsWith(`${line.split(" ")[0]} `))).toEqual([line]);
    }
    expect(steps).toContainEqual({ do: "write", path: "postgresql.auto.conf", content: "", mode: 0o600 });
    expect(steps.at(-1)).toEqual({ do: "write", path: "recovery.signal", content: "", mode: 0o600 });
  });

  test("takes the traces of a running server away: slots, signals, process files", () => {
    const traces = ["standby.signal", "postmaster.pid", "pg_replslot/theirs/state", "pg_replslot/theirs/xid.snap"];
    const removed = layout([...files, ...traces.map((path) => ({ path, size: 1 }))], mark).flatMap((step) =>
      step.do === "remove" ? [step.path] : [],
    );
    expect(removed).toEqual(["standby.signal", "postmaster.pid", "pg_replslot/theirs"]);
  });

  test("refuses a tree with a gap, naming the file", () => {
    for (const path of ["backup_label", "global/pg_control", `pg_wal/${segments[1]}`]) {
      const gapped = files.filter((file) => file.path !== path);
      expect(() => layout(gapped, mark)).toThrow(expect.objectContaining({ code: "VERIFICATION_FAILED", where: path }));
    }
  });

  test("refuses a mark that it cannot read", () => {
    expect(() => layout(files, { ...mark, detail: {} })).toThrow(expect.objectContaining({ code: "FORMAT_UNKNOWN" }));
  });
});

test("relation files, their forks and segments are chunked by page, everything else by content", () => {
  const paged = [
    "base/5/1259",
    "base/5/1259_vm",
    "base/5/16384.12",
    "global/1262_fsm",
    "pg_tblspc/16400/PG_15_202209061/5/1",
  ];
  const others = [
    "base/5/PG_VERSION",
    "global/pg_control",
    "pg_xact/0000",
    "base/5/pg_filenode.map",
    "pg_wal/000000010000000000000001",
  ];
  expect(paged.map((path) => hintOf(path, 8192))).toEqual(paged.map(() => "page:8192"));
  expect(others.map((path) => hintOf(path, 8192))).toEqual(others.map(() => "content"));
});

test("of the preloaded libraries those alone are kept that the data needs", () => {
  expect(neededPreload("pg_stat_statements, $libdir/timescaledb,pg_cron")).toEqual(["$libdir/timescaledb"]);
  expect(neededPreload(undefined)).toEqual([]);
});

test("a locator's parts are names, never SQL", () => {
  expect(parseLocator("t; drop table x; --.c")).toMatchObject({ relation: '"t; drop table x; --"' });
  expect(() => parseLocator('t"; drop table x; --.c')).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
  expect(parseLocator('"a.b"."c""d".e')).toEqual({ relation: '"a.b"."c""d"', column: '"e"', name: "e" });
});
