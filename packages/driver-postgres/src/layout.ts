import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep } from "@stillpoint/driver/driver";
import type { TreeFile } from "@stillpoint/driver/tree";
import { isDump } from "./dump-mark.ts";
import { historyName, type Lsn, segmentName, segmentStart, segmentStarts } from "./lsn.ts";
import { type MarkDetail, parseMarkDetail } from "./mark-detail.ts";
import { LAID_OUT, serverSettings, settingsText } from "./recovery-settings.ts";
import { historyText } from "./timeline-history.ts";

/** Ours replace the source's, which stay in the backup under these names. */
export const CONFIGURATION_FILES = ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"] as const;

/** Traces of the running source, which a base leaves out; one made by other means may hold them. */
export const TRACES = ["standby.signal", "postmaster.pid", "postmaster.opts", "tablespace_map", "current_logfiles"];

const HEADER = `# Written by Stillpoint. What the source had here is in the backup, under the same name.
# With these settings the server recovers up to the mark and opens, and nobody reaches it but through the socket in its
# own directory:  pg_ctl -D . start  and  psql -h "$PWD" -U <bootstrap user>
# Before it serves as what the source was, decide on archiving, replication, addresses and preloaded libraries.
`;

/**
 * Base and WAL, extracted over one another, as a data directory that `postgres` recovers to the mark by itself. The last
 * segment of each timeline may end where its log does: zeros follow, which are no WAL.
 */
export function layout(files: readonly TreeFile[], mark: Mark): LayoutStep[] {
  // Dumps are loaded, not started on.
  if (isDump(mark)) return [];
  const detail = parseMarkDetail(mark);
  const sizes = new Map(files.map(({ path, size }) => [path, size]));
  const segments = segmentsOf(detail);
  checkComplete(sizes, segments, mark);
  return [
    ...withoutTraces(files),
    ...segments
      .filter(({ path }) => sizes.get(path) !== detail.segmentBytes)
      .map(({ path }) => ({ do: "truncate" as const, path, size: detail.segmentBytes })),
    ...historyOf(sizes, detail),
    ...configuration(detail, LAID_OUT),
  ];
}

/** Nothing of the running source is left. */
export function withoutTraces(files: readonly TreeFile[]): LayoutStep[] {
  const slots = new Set(files.flatMap(({ path }) => /^pg_replslot\/[^/]+/.exec(path)?.[0] ?? []));
  const traces = TRACES.filter((trace) => files.some(({ path }) => path === trace));
  return [
    ...[...traces, ...slots].map((path) => ({ do: "remove" as const, path })),
    { do: "directory", path: "pg_wal/archive_status", mode: 0o700 },
  ];
}

/** What makes the directory recover by itself when a server is started on it. */
export function configuration(detail: MarkDetail, restoreCommand: string): LayoutStep[] {
  return [
    write("postgresql.conf", HEADER + settingsText(serverSettings(detail, restoreCommand))),
    write("postgresql.auto.conf", ""),
    // Whoever reaches the socket runs as the account that owns the files.
    write("pg_hba.conf", "local all all trust\n"),
    write("pg_ident.conf", ""),
    // Last: with it the directory recovers, without it PostgreSQL would take the WAL's end for the mark.
    write("recovery.signal", ""),
  ];
}

function write(path: string, content: string): LayoutStep {
  return { do: "write", path, content, mode: 0o600 };
}

type Segment = { path: string; start: Lsn /** It must have so much. */; bytes: number };

/** The segments that recovery asks for. Where a timeline was left inside of one, it is the next timeline's. */
export function segmentsOf({ start, until, timeline, ancestry, segmentBytes }: MarkDetail): Segment[] {
  return segmentStarts(start, until, segmentBytes).map((at) => {
    const on = ancestry.find((each) => at < segmentStart(each.at, segmentBytes))?.timeline ?? timeline;
    const bytes = Math.min(segmentBytes, Number(until - at));
    return { path: `pg_wal/${segmentName(on, at, segmentBytes)}`, start: at, bytes };
  });
}

/** Of a timeline that was shipped no segment of yet there is no history file; its past is known all the same. */
function historyOf(sizes: ReadonlyMap<string, number>, { timeline, ancestry }: MarkDetail): LayoutStep[] {
  const path = `pg_wal/${historyName(timeline)}`;
  return ancestry.length === 0 || sizes.has(path) ? [] : [write(path, historyText(ancestry))];
}

function checkComplete(sizes: ReadonlyMap<string, number>, segments: readonly Segment[], mark: Mark): void {
  const needed = ["PG_VERSION", "global/pg_control", "backup_label", ...segments.map(({ path }) => path)];
  const missing = needed.find((path) => !sizes.has(path));
  const short = segments.find(({ path, bytes }) => (sizes.get(path) ?? 0) < bytes)?.path;
  const path = missing ?? short;
  if (path === undefined) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "Cannot lay out a PostgreSQL data directory",
    where: path,
    why: missing === undefined ? "the WAL segment is not whole" : `it is missing, and ${mark.position} needs it`,
  });
}
