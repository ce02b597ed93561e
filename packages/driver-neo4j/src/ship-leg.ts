import { open } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogSink, ShipProgress } from "@stillpoint/driver/ship";
import { copyLog } from "./copy-log.ts";
import { isMissing } from "./file-error.ts";
import { followLog, logGone } from "./log-follower.ts";
import { LOG_HEADER_BYTES } from "./log-header.ts";
import { type LogPosition, logName } from "./log-position.ts";
import { readLogRun } from "./log-run.ts";
import { type LogByte, type LogPlace, NO_SYSTEM, tokenOf } from "./log-token.ts";
import type { SystemLog } from "./system-log.ts";
import { joinTail, type SystemPiece } from "./tail-bytes.ts";
import { createTailCuts } from "./tail-cuts.ts";

export type LegSource = {
  /** Where the log files lie, and where they lie in a tree. */
  logs: string;
  treeDirectory: string;
  /** What positions are counted in. */
  stream: string;
  system: SystemLog;
};

/** A stretch of shipping in which the log goes on without a break. */
export interface ShipLeg {
  /** What the sink holds. */
  readonly held: LogPlace;
  /** The last whole commit that was seen. */
  readonly seen: LogPosition;
  /** The file that is read now. */
  readonly reading: number;
  /** Sees what was written since in the system database's log; where it ends then. */
  lookAtSystem(): Promise<LogByte>;
  /** Sees what was written since. What keeps the leg from going on behind it is the answer: there is none else. */
  look(): Promise<LegBroken | undefined>;
  /** Gives the sink all that was seen. */
  flush(): Promise<void>;
  progress(): ShipProgress;
}

/** The source's log has a hole or is not what it was. */
export class LegBroken extends Error {
  readonly why: string;
  constructor(cause: StillpointError) {
    super(cause.message, { cause });
    this.name = "LegBroken";
    this.why = `${cause.what}: ${cause.why ?? "it is not what it was"}`;
  }
}

export async function openLeg(
  { logs, treeDirectory, stream, system }: LegSource,
  begin: LogPlace,
  sink: LogSink,
  signal: AbortSignal,
): Promise<ShipLeg> {
  /** Where each file ends, as far as it was seen: those that the sink does not have as a whole. */
  const ends = new Map<number, LogPosition>();
  const cuts = createTailCuts(begin);
  let held = begin;
  /** How far the system database's log was seen to go. */
  let seenOfSystem = begin.system;
  const log = await followLog(logs, begin.logVersion, signal, (commit) => {
    ends.set(commit.logVersion, commit);
    cuts.passed(commit);
  }).catch((error: unknown) => {
    throw brokenBy(error);
  });
  ends.set(begin.logVersion, log.position);
  /** The last transaction of the files before the held one. */
  let lastTxId = log.position.txId;
  // A break further on is told by the first look; what the sink gets before it must go on from what it holds.
  await log.advance().catch(brokenBy);
  if (!cuts.beginsWhole()) {
    const why = `it has no commit at byte ${begin.offset} any more`;
    throw new LegBroken(logGone(join(logs, logName(begin.logVersion)), why));
  }

  const rangeOf = (from: LogPlace, to: LogPlace) => ({ stream, from: tokenOf(from), to: tokenOf(to) });

  const close = async (logVersion: number) => {
    const to = ends.get(logVersion) ?? { logVersion, offset: LOG_HEADER_BYTES, txId: lastTxId };
    // What the system database's log grew by since comes with the last tail: a base in between must not miss it.
    const next = { logVersion: logVersion + 1, offset: 0, system: held.system };
    const begins = { logVersion, offset: 0, system: NO_SYSTEM };
    let broken: LegBroken | undefined;
    const write = sink.closed(rangeOf(begins, next), async (tree) => {
      try {
        await copyLog(tree, { directory: logs, treeDirectory, from: { logVersion, offset: 0 }, to });
      } catch (error) {
        broken = brokenBy(error);
        throw error;
      }
      await system.copyTo(tree);
    });
    await write.catch((error: unknown) => {
      throw broken ?? error;
    });
    held = next;
    lastTxId = to.txId;
    ends.delete(logVersion);
  };

  const give = async (to: LogPlace, bytes: Buffer, piece?: SystemPiece) => {
    await sink.tail(rangeOf(held, to), joinTail(bytes, piece));
    held = to;
  };

  /**
   * The growth of the system database's log goes with the first tail, for a point that is marked within them, and once more
   * with the last one, for a base that ends there; or by itself where nothing else grew.
   */
  const tail = async (end: LogPosition) => {
    const ofSystem = system.pieces(held.system, seenOfSystem);
    const first = (await ofSystem.next()).value ?? undefined;
    const pieces = cuts.take(held, end);
    if (pieces.length > 0) {
      const path = join(logs, logName(end.logVersion));
      await using file = await open(path).catch((error: unknown) => {
        throw brokenBy(error);
      });
      for (const offset of pieces) {
        const size = offset - held.offset;
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), 0, size, held.offset);
        if (bytesRead < size) throw new LegBroken(logGone(path, `it has become shorter than ${offset} bytes`));
        const carries = offset === pieces[0] || offset === pieces.at(-1);
        const to = { logVersion: end.logVersion, offset, system: first?.to ?? held.system };
        await give(to, buffer, carries ? first?.piece : undefined);
      }
    } else if (first !== undefined) await give({ ...held, system: first.to }, Buffer.alloc(0), first.piece);
    for await (const { piece, to } of ofSystem) await give({ ...held, system: to }, Buffer.alloc(0), piece);
  };

  return {
    get held() {
      return held;
    },
    get seen() {
      return log.position;
    },
    get reading() {
      return log.reading;
    },
    async lookAtSystem() {
      seenOfSystem = await system.look();
      return seenOfSystem;
    },
    async look() {
      try {
        await log.advance();
        const { first } = await readLogRun(logs);
        if (first > log.reading) return new LegBroken(logGone(logs, `log files before ${first} are gone, unread`));
        return undefined;
      } catch (error) {
        return brokenBy(error);
      }
    },
    async flush() {
      const end = log.position;
      while (held.logVersion < end.logVersion) await close(held.logVersion);
      await tail(end);
    },
    progress() {
      let lagBytes = log.position.offset - (held.logVersion === log.position.logVersion ? held.offset : 0);
      for (let version = held.logVersion; version < log.position.logVersion; version += 1) {
        const size = ends.get(version)?.offset ?? LOG_HEADER_BYTES;
        lagBytes += version === held.logVersion ? size - held.offset : size;
      }
      const at = (place: LogPlace) => ({ stream, at: tokenOf(place) });
      return { held: at(held), server: at({ ...log.position, system: held.system }), lagBytes: Math.max(0, lagBytes) };
    },
  };
}

/** What an error says of the log; thrown again if it says nothing of it. */
function brokenBy(error: unknown): LegBroken {
  if (error instanceof StillpointError && error.code === "SOURCE_CHANGED") return new LegBroken(error);
  if (isMissing(error)) return new LegBroken(logGone(error instanceof Error ? error.message : "the log"));
  throw error;
}
