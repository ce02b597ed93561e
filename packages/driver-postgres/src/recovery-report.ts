import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { lastWords } from "@stillpoint/driver/last-words";
import { endsInside } from "./log-end.ts";
import { formatLsn, historyName, parseLsn } from "./lsn.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { parseHistory } from "./timeline-history.ts";

/** The last record of the log was replayed, or the target was reached. */
export const REDO_DONE = "redo done at ";
/** Nothing of the log was at the target or beyond it. */
export const ENDED_BEFORE = "recovery ended before configured recovery target was reached";

/** The postmaster's own word for how far it is, in the eighth line of its file; the file of the source is not among a base's. */
export async function postmasterStatus(directory: string): Promise<string | undefined> {
  try {
    return (await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n")[7]?.trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** What a server's log says of where recovery stopped. One that did not stop at the mark opened the wrong data. */
export async function whereItStopped(log: string, detail: MarkDetail): Promise<string> {
  const lines = (await readFile(log, "utf8")).split("\n");
  const line = stopWords(detail)
    .map((words) => lines.findLast((each) => each.includes(words) && isAtOrBehind(each, detail)))
    .find((each) => each !== undefined);
  if (line === undefined) throw await recoveryFailed("recovery did not stop at the mark", log);
  return line.replace(/^.*?LOG:\s*/, "");
}

/** What PostgreSQL says where it stops for a target; the first that it said counts. */
function stopWords({ target }: MarkDetail): string[] {
  const at = "inclusive" in target && target.inclusive ? "after" : "before";
  switch (target.by) {
    case "name":
      return [`recovery stopping at restore point "${target.name}"`];
    case "lsn":
      return [`recovery stopping ${at} WAL location (LSN) "`];
    case "xid":
      return ["commit", "abort"].map((end) => `recovery stopping ${at} ${end} of transaction ${target.xid},`);
    case "time":
      return ["recovery stopping before ", "recovery stopping after ", REDO_DONE];
    case "immediate":
      return ["recovery stopping after reaching consistency"];
    case "latest":
      return [REDO_DONE];
  }
}

/** A place may lie inside of a record, or at the head of a page: recovery stops at the first record that does not begin before it. */
function isAtOrBehind(line: string, { target, lsn }: MarkDetail): boolean {
  const [, stopped] = /WAL location \(LSN\) "([^"]+)"/.exec(line) ?? [];
  return target.by !== "lsn" || (stopped !== undefined && parseLsn(stopped) >= lsn);
}

/** Recovery takes damage for the end of the log, where no target is set: what it did not read must be half a record. */
export async function checkLogEnd(directory: string, log: string, detail: MarkDetail): Promise<void> {
  const [, promoted] = /selected new timeline ID: (\d+)/.exec(await readFile(log, "utf8")) ?? [];
  if (promoted === undefined) throw await recoveryFailed("the server does not say where the log ended", log);
  const history = await readFile(join(directory, "pg_wal", historyName(Number(promoted))), "utf8");
  const end = parseHistory(history).at(-1)?.at;
  if (end === undefined) throw await recoveryFailed("the server does not say where the log ended", log);
  if (await endsInside(directory, end, detail)) return;
  throw await recoveryFailed(
    `its log was read up to ${formatLsn(end)} only, and is there up to ${formatLsn(detail.until)}`,
    log,
  );
}

export async function recoveryFailed(why: string, log: string): Promise<StillpointError> {
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot bring a restored PostgreSQL up",
    why: `${why}: ${await lastWords(log)}`,
  });
}
