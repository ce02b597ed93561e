import type { LogRange } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import type { TreeEntry } from "@stillpoint/driver/tree";
import type { BaseFacts } from "./base-facts.ts";
import { walPositionOf } from "./log-position.ts";
import { formatLsn, type Lsn, segmentName, segmentStart } from "./lsn.ts";
import { type MarkDetail, markDetail } from "./mark-detail.ts";
import type { Ancestry } from "./timeline-history.ts";

/** Where a recovery stops. `inclusive`: after what is named, else just before it. */
export type RecoveryTarget =
  | { by: "name"; name: string }
  | { by: "lsn"; at: Lsn; inclusive?: boolean }
  /** RFC 3339, UTC. Commits have the server's time; one of exactly this time is taken with `inclusive`. */
  | { by: "time"; at: string; inclusive?: boolean }
  | { by: "xid"; xid: string; inclusive?: boolean }
  | { by: "latest" }
  | { by: "immediate" };

/** What is laid over a base, and how far it is followed. */
export type Recovery = {
  target: RecoveryTarget;
  /** That is followed, and where those before it were left, from the base's own on. */
  timeline: number;
  ancestry?: Ancestry;
  /** The log is there up to here. */
  until: Lsn;
  action?: MarkDetail["action"];
};

/** A base and a target as a mark, which `layout` and `start` take as they take a point's. */
export function recoveryMark(base: BaseFacts, recovery: Recovery, cutId: string): Mark {
  const { target, timeline, ancestry = [], until, action = "promote" } = recovery;
  const { end, ...facts } = base;
  const detail: MarkDetail = {
    ...facts,
    target: settled(target, until),
    lsn: target.by === "lsn" ? target.at : end,
    timeline,
    ancestry: [...ancestry],
    until,
    action,
  };
  return { cutId, position: `${describe(target)}, timeline ${timeline}`, detail: markDetail.encode(detail), notes: [] };
}

/** No record begins at the end of the log: PostgreSQL would call a target there one that it did not reach. */
function settled(target: RecoveryTarget, until: Lsn): MarkDetail["target"] {
  if (target.by !== "lsn") return target;
  if (target.at === until) return { by: "latest" };
  const { at: _, ...rest } = target;
  return rest;
}

function describe(target: RecoveryTarget): string {
  switch (target.by) {
    case "name":
      return target.name;
    case "lsn":
      return formatLsn(target.at);
    case "time":
      return target.at;
    case "xid":
      return `transaction ${target.xid}`;
    case "latest":
      return "the end of the log";
    case "immediate":
      return "the end of the base";
  }
}

/** Where a tail's bytes lie: over the beginning of its segment, which they continue. What the segment lacks, `layout` adds. */
export function tailEntry(range: LogRange, mtimeMs: number, segmentBytes: number): TreeEntry & { type: "file" } {
  const { timeline, at } = walPositionOf({ stream: range.stream, at: range.from });
  const size = Number(walPositionOf({ stream: range.stream, at: range.to }).at - at);
  const path = `pg_wal/${segmentName(timeline, at, segmentBytes)}`;
  const offset = Number(at - segmentStart(at, segmentBytes));
  return { type: "file", path, mode: 0o600, mtimeMs, size, hint: "content", ...(offset === 0 ? {} : { offset }) };
}
