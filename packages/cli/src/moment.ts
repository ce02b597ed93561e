import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget } from "@stillpoint/contracts/log";
import type { SourceKind } from "@stillpoint/contracts/names";
import { serveMoment, serveWholeWindow } from "@stillpoint/repository/log/moment";
import { alongStream, streamOfNewestBase } from "@stillpoint/repository/log/one-stream";
import { type Serving, serve } from "@stillpoint/repository/log/serve";
import type { SourceLog } from "@stillpoint/repository/log/source-log";

/** A word of the command line as a target: `latest`, a time, `lsn:0/3000060`, `tx:1234`, `name:before-import`, `immediate`. */
export function parseMoment(text: string, inclusive: boolean): LogTarget {
  if (text === "latest") return { by: "latest" };
  if (text === "immediate") return { by: "immediate" };
  const [, kind, value = ""] = /^(lsn|tx|name):(.+)$/.exec(text) ?? [];
  if (kind === "lsn") return { by: "position", at: value, inclusive };
  if (kind === "tx") return { by: "transaction", id: value, inclusive };
  if (kind === "name") return { by: "name", name: value };
  // Microseconds are kept, for stores count in them.
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(text) && !Number.isNaN(Date.parse(text)))
    return { by: "time", at: text, ...(inclusive ? {} : { inclusive }) };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read the moment to restore to",
    where: `--at ${text}`,
    why: "it is none of: latest, immediate, a time in UTC such as 2027-01-31T12:34:56.789Z, lsn:<position>, tx:<id>, name:<restore point>",
  });
}

/** Which timeline of a PostgreSQL is followed: a number, `current` (the newest base's own), or `latest`. */
export async function followTimeline(log: SourceLog, kind: SourceKind, timeline: string): Promise<SourceLog> {
  if (timeline === "latest") return log;
  const isNumber = /^[1-9]\d{0,8}$/.test(timeline);
  if (kind !== "postgres" || (!isNumber && timeline !== "current"))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot follow this timeline",
      where: `--timeline ${timeline}`,
      why:
        kind === "postgres"
          ? "it is none of: a number, current, latest"
          : `a ${kind} source has none: its log does not branch`,
    });
  const { streamOf } = await import("@stillpoint/driver-postgres/log-position");
  const stream = isNumber ? streamOf(Number(timeline)) : streamOfNewestBase(log);
  return stream === undefined ? log : alongStream(log, stream);
}

/** What a target is restored from: the newest base that ended before it, where anybody can tell. */
export async function servingOf(log: SourceLog, kind: SourceKind, target: LogTarget): Promise<Serving> {
  if (target.by === "time" && target.inclusive === false && kind !== "postgres")
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore to this moment",
      where: "--exclusive",
      why: `in the log of a ${kind} source a time is never exact enough for it`,
      hint: "leave --exclusive out, or name an earlier time",
    });
  switch (target.by) {
    case "latest":
      return serve(log, "newest");
    case "time":
      return serveMoment(log, Date.parse(target.at));
    case "immediate": {
      const { range } = log.fulls.toSorted((a, b) => a.storedMs - b.storedMs).at(-1) ?? {};
      return serve(log, range === undefined ? "newest" : { stream: range.stream, at: range.to });
    }
    case "position":
      if (kind === "postgres") {
        const { placeOfLsn } = await import("@stillpoint/driver-postgres/recover");
        const place = placeOfLsn(target.at);
        return serve({ ...log, fulls: log.fulls.filter(({ range }) => range.to <= place) }, "newest");
      }
      return serveWholeWindow(log);
    case "transaction":
    case "name":
      return serveWholeWindow(log);
  }
}
