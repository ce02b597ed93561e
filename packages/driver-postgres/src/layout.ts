import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep } from "@stillpoint/driver/driver";
import type { TreeFile } from "@stillpoint/driver/tree";
import { segmentName, segmentStarts } from "./lsn.ts";
import { type MarkDetail, parseMarkDetail } from "./mark-detail.ts";
import { serverSettings, settingsText } from "./recovery-settings.ts";

/** Ours replace the source's, which stay in the backup under these names. */
export const CONFIGURATION_FILES = ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"] as const;

/** Traces of the running source, which a base leaves out; one made by other means may hold them. */
export const TRACES = ["standby.signal", "postmaster.pid", "postmaster.opts", "tablespace_map", "current_logfiles"];

const HEADER = `# Written by Stillpoint. What the source had here is in the backup, under the same name.
# With these settings the server recovers up to the mark and opens, and nobody reaches it but through the socket in its
# own directory:  pg_ctl -D . start  and  psql -h "$PWD" -U <bootstrap user>
# Before it serves as what the source was, decide on archiving, replication, addresses and preloaded libraries.
`;

/** Base and WAL, extracted over one another, as a data directory that `postgres` recovers to the mark by itself. */
export function layout(files: readonly TreeFile[], mark: Mark): LayoutStep[] {
  const detail = parseMarkDetail(mark);
  const sizes = new Map(files.map(({ path, size }) => [path, size]));
  checkComplete(sizes, detail, mark);
  const slots = new Set(files.flatMap(({ path }) => /^pg_replslot\/[^/]+/.exec(path)?.[0] ?? []));
  return [
    ...[...TRACES.filter((path) => sizes.has(path)), ...slots].map((path) => ({ do: "remove" as const, path })),
    { do: "directory", path: "pg_wal/archive_status", mode: 0o700 },
    write("postgresql.conf", HEADER + settingsText(serverSettings(detail))),
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

function checkComplete(sizes: ReadonlyMap<string, number>, detail: MarkDetail, mark: Mark): void {
  const segments = segmentStarts(detail.start, detail.until, detail.segmentBytes).map(
    (start) => `pg_wal/${segmentName(detail.timeline, start, detail.segmentBytes)}`,
  );
  const missing = ["PG_VERSION", "global/pg_control", "backup_label", ...segments].find((path) => !sizes.has(path));
  const short = segments.find((path) => sizes.get(path) !== detail.segmentBytes);
  const path = missing ?? short;
  if (path === undefined) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "Cannot lay out a PostgreSQL data directory",
    where: path,
    why: missing === undefined ? "the WAL segment is not whole" : `it is missing, and ${mark.position} needs it`,
  });
}
