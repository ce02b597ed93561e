import type { LogPosition as LogPlace } from "@stillpoint/contracts/log";
import type { LogRun } from "./log-run.ts";
import { NO_SYSTEM, type LogPlace as Place, placeOf, tokenOf } from "./log-token.ts";

/** Where shipping begins, and what is lost if it is not where the sink's log ends. */
export type ShipStart = { begin: Place; gap?: { after: LogPlace; until?: LogPlace; why: string } };

/** Pure: where to go on from what the sink holds, with the files that are there. */
export function shipStart(stream: string, run: LogRun, from: LogPlace | undefined): ShipStart {
  // The open file from its first byte on, so that it can be taken as a whole once it is closed.
  const newest = { logVersion: run.newest, offset: 0, system: NO_SYSTEM };
  if (from === undefined) return { begin: newest };
  if (from.stream !== stream) {
    const why = "the source is another store now, or was restored or moved to another disk: its log is another one";
    return { begin: newest, gap: { after: from, until: { stream, at: tokenOf(newest) }, why } };
  }
  const held = placeOf(from.at);
  if (held.logVersion > run.newest) {
    const why = `the log went back: file ${held.logVersion} was there, and now the newest is ${run.newest}`;
    return { begin: newest, gap: { after: from, why } };
  }
  // Also where a later one is missing: what it still holds is taken before that is told.
  if (run.versions.has(held.logVersion)) return { begin: held };
  const begin = { logVersion: run.first, offset: 0, system: NO_SYSTEM };
  return {
    begin,
    gap: {
      after: from,
      until: { stream, at: tokenOf(begin) },
      why: `the log files ${held.logVersion} to ${run.first - 1} went before they were read to their end; keep them longer: db.tx_log.rotation.retention_policy in neo4j.conf`,
    },
  };
}

/**
 * Pure: where to go on when the log could not be read on in the file `reading`: behind it, for what is in it would break
 * the chain again. Undefined: nothing is behind it, and the file has been begun anew already.
 */
export function shipRestart(
  stream: string,
  run: LogRun,
  broken: { held: Place; reading: number; why: string; advanced: boolean },
): ShipStart | undefined {
  const { held, reading, why, advanced } = broken;
  const after = { stream, at: tokenOf(held) };
  const logVersion = Math.max(run.first, reading + 1);
  const begin = { logVersion, offset: 0, system: NO_SYSTEM };
  if (logVersion <= run.newest) return { begin, gap: { after, until: { stream, at: tokenOf(begin) }, why } };
  // The open file itself changed under us: what it holds now is taken from its beginning.
  return advanced
    ? { begin: { logVersion: run.newest, offset: 0, system: NO_SYSTEM }, gap: { after, why } }
    : undefined;
}
