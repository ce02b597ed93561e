import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import { followLog } from "./log-follower.ts";
import type { LogPosition } from "./log-position.ts";
import type { LogByte } from "./log-token.ts";
import type { StoreMark } from "./mark-detail.ts";
import { logDirectory, readCheckpointFiles } from "./store-capture.ts";
import { storeMarkOf } from "./store-mark.ts";

export type SystemTarget = {
  /** Where the base ended; its very beginning where the base did not say. */
  floor: LogByte;
  /** How far the log goes that was laid over it. */
  upTo: LogByte;
  /** All that was committed up to a moment, or stands before a byte of its log; undefined: all. */
  until: { ms: number } | { byte: LogByte } | undefined;
};

/**
 * The system database as of a moment, at least as of its base: users and rights. A hole in its log is no reason to lose the
 * data, so it is told and not thrown.
 */
export async function systemAt(
  data: string,
  { floor, upTo, until }: SystemTarget,
  signal: AbortSignal,
): Promise<{ store: StoreMark; notes: string[] }> {
  const logs = logDirectory(data, "system");
  const checkpoints = await readCheckpointFiles(logs);
  const isUnsaid = isAtOrBehind(NO_BYTE, floor);
  let last: { position: LogPosition; committedMs?: number } | undefined;
  let floorTxId: number | undefined;
  let isBeyond = false;
  const follower = await followLog(logs, checkpoints.newest.oldestLogVersion, signal, (position, committedMs) => {
    // The first later one decides: what stands behind it was acknowledged later still, whatever time it bears.
    isBeyond ||= !isUnsaid && floorTxId !== undefined && isBehind(position, committedMs, until);
    if (isBeyond) return;
    last = { position, committedMs };
    if (isAtOrBehind(position, floor)) floorTxId ??= position.txId;
  });
  last ??= { position: follower.position };
  if (isAtOrBehind(follower.position, floor)) floorTxId ??= follower.position.txId;
  await follower.advance().catch((error: unknown) => {
    if (!(error instanceof StillpointError) || error.code !== "SOURCE_CHANGED") throw error;
  });
  if (floorTxId === undefined) throw holed(logs);
  const store = storeMarkOf("system", checkpoints, { position: last.position, floor: floorTxId });
  if (isUnsaid) return { store, notes: ["users and rights are as of the base"] };
  if (isBeyond || isAtOrBehind(last.position, upTo)) return { store, notes: [] };
  const since = last.committedMs === undefined ? "the base" : toInstant(last.committedMs);
  return { store, notes: [`users and rights are as of ${since}: behind it their log has a hole`] };
}

const NO_BYTE: LogByte = { logVersion: 0, offset: 0 };

function isBehind(position: LogByte, committedMs: number, until: SystemTarget["until"]): boolean {
  if (until === undefined) return false;
  return "ms" in until ? committedMs > until.ms : !isAtOrBehind(until.byte, position);
}

function isAtOrBehind(one: LogByte, other: LogByte): boolean {
  return one.logVersion > other.logVersion || (one.logVersion === other.logVersion && one.offset >= other.offset);
}

function holed(where: string): StillpointError {
  return new StillpointError("VERIFICATION_FAILED", {
    what: "A restored Neo4j log does not go on from its base",
    where,
    why: "the log of the system database ends before its base does",
    hint: "choose another base",
  });
}
