import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { followLog, logGone } from "./log-follower.ts";
import { type LogPosition, logName } from "./log-position.ts";
import { readLogRun } from "./log-run.ts";
import type { LogByte } from "./log-token.ts";

/** How far a log is to be replayed. `moment`: all that was committed up to it, and nothing after it. */
export type LogTarget = { to: "newest" } | { to: "transaction"; txId: number } | { to: "moment"; ms: number };

/** A commit, and when it was made; the time is not known of one that is the last before the first file that is there. */
export type Reached = { position: LogPosition; committedMs: number | undefined };

export type LogToReach = {
  logs: string;
  /** The first file that recovery reads. */
  first: number;
  /** Where the base ended: its files may hold effects up to here, so that no earlier target is safe. Absent: with its log. */
  end: LogByte | undefined;
  target: LogTarget;
  signal: AbortSignal;
};

/** Proves a restored log, commit by commit, up to the target. */
export async function reachTarget(log: LogToReach): Promise<{ floor: LogPosition; reached: Reached }> {
  const { logs, first, end, target, signal } = log;
  const seen: { floor?: Reached; last?: Reached; beyond: boolean } = { beyond: false };
  const pass = (position: LogPosition, committedMs?: number) => {
    const commit = { position, committedMs };
    // The first later one decides: what stands behind it was acknowledged later still, whatever time it bears.
    seen.beyond ||= seen.floor !== undefined && isAfter(commit, target);
    if (seen.beyond) return;
    seen.last = commit;
    if (position.logVersion === end?.logVersion && position.offset === end.offset) seen.floor = commit;
  };
  try {
    const follower = await followLog(logs, first, signal, pass);
    pass(follower.position);
    await follower.advance(target.to === "transaction" ? target.txId : undefined);
    const { newest } = await readLogRun(logs);
    if (target.to !== "transaction" && newest > follower.reading) {
      throw logGone(join(logs, logName(follower.reading + 1)));
    }
  } catch (error) {
    // What is broken behind the target is of no matter.
    if (!seen.beyond) throw holed(error, logs);
  }
  const { last, floor = end === undefined ? last : undefined } = seen;
  if (last === undefined) throw new TypeError("a follower stands somewhere");
  const past = target.to === "transaction" && last.position.txId >= target.txId;
  if (floor === undefined && !past) throw holed(logGone(logs, "the base does not end at a commit of it"), logs);
  if (floor === undefined || isAfter(floor, target)) {
    throw outside(logs, "it is before the end of the base, whose files may hold what was committed up to there");
  }
  if (target.to === "transaction" && !past)
    throw outside(logs, `the log that is held ends with tx ${last.position.txId}`);
  return { floor: floor.position, reached: last };
}

function isAfter({ committedMs }: Reached, target: LogTarget): boolean {
  return target.to === "moment" && committedMs !== undefined && committedMs > target.ms;
}

function holed(error: unknown, where: string): unknown {
  if (!(error instanceof StillpointError) || error.code !== "SOURCE_CHANGED") return error;
  return new StillpointError("VERIFICATION_FAILED", {
    what: "A restored Neo4j log does not go on from its base",
    where: error.where ?? where,
    why: error.why ?? error.what,
    hint: "choose a base that ended behind the hole, or a target before it",
    cause: error,
  });
}

function outside(where: string, why: string): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: "Cannot restore to this target",
    where,
    why,
    hint: "choose a target between the end of a base and the end of its log, or an earlier base",
  });
}
