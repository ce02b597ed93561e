import { open } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { fileEntry } from "./file-entry.ts";
import { isMissing } from "./file-error.ts";
import { followLog, type LogFollower } from "./log-follower.ts";
import { type LogPosition, logName } from "./log-position.ts";
import { readLogRun } from "./log-run.ts";
import { type LogByte, NO_SYSTEM } from "./log-token.ts";
import type { SystemPiece } from "./tail-bytes.ts";

/** A piece holds no more, so that a tail stays small. */
const MOST_PIECE_BYTES = 4 * 1024 * 1024;
/** Where a closed stretch carries the system database's log: a restore joins it with what the base has of it. */
export const SYSTEM_LOG_IN_STRETCH = "shipped/system";

/**
 * The log of users and rights, which goes along with a database's. It is small and seldom written; what is missing in it
 * breaks nothing of the database's own: a restore has users and rights up to there, and says so.
 */
export interface SystemLog {
  /** Sees what was written since; where it ends then. */
  look(): Promise<LogByte>;
  /** What there is from one byte to another, in order, none longer than a tail may be. */
  pieces(from: LogByte, to: LogByte): AsyncGenerator<{ piece: SystemPiece; to: LogByte }>;
  /** Puts all of it that was seen and is still there into a tree. */
  copyTo(tree: TreeWriter): Promise<void>;
}

export function openSystemLog(logs: string, signal: AbortSignal, log: (message: string) => void): SystemLog {
  let follower: LogFollower | undefined;
  /** The last commit of each file: closed files end there. */
  let ends: LogPosition[] = [];
  let told = "";

  const passed = (commit: LogPosition) => {
    if (ends.at(-1)?.logVersion === commit.logVersion) ends.pop();
    ends.push(commit);
  };
  const follow = async (begin: "first" | "newest" | "here") => {
    if (begin !== "here" || follower === undefined) {
      const run = await readLogRun(logs);
      ends = [];
      follower = await followLog(logs, begin === "newest" ? run.newest : run.first, signal, passed);
    }
    await follower.advance();
  };
  const tell = (error: unknown) => {
    if (!isBroken(error)) throw error;
    const why = error instanceof Error ? error.message : "";
    if (why !== told) log(`the log of users and rights does not go on: ${why}`);
    told = why;
  };

  return {
    async look() {
      try {
        await follow("here");
      } catch (error) {
        tell(error);
        await follow("newest").catch(tell);
      }
      const { logVersion, offset } = follower?.position ?? NO_SYSTEM;
      return { logVersion, offset };
    },
    async *pieces(from, to) {
      for (const { logVersion, offset } of [...ends]) {
        if (logVersion < from.logVersion || logVersion > to.logVersion) continue;
        const end = logVersion === to.logVersion ? to.offset : offset;
        for (let at = logVersion === from.logVersion ? from.offset : 0; at < end; ) {
          const bytes = await readPart(join(logs, logName(logVersion)), at, Math.min(end - at, MOST_PIECE_BYTES));
          if (bytes.length === 0) return; // it has become shorter: the next look says so
          const piece = { at: { logVersion, offset: at }, bytes };
          at += bytes.length;
          yield { piece, to: { logVersion, offset: at } };
        }
      }
    },
    async copyTo(tree) {
      for (const { logVersion, offset } of ends) {
        const [from, path] = [join(logs, logName(logVersion)), `${SYSTEM_LOG_IN_STRETCH}/${logName(logVersion)}`];
        try {
          await using file = await open(from);
          const entry = fileEntry({ path, stats: await file.stat(), size: offset, hint: "content" });
          const body = file.createReadStream({ start: 0, end: offset - 1, autoClose: false });
          const { torn } = await tree.add(entry, body);
          if (torn) await tree.add({ type: "deleted", path });
        } catch (error) {
          tell(error);
        }
      }
    },
  };
}

function isBroken(error: unknown): boolean {
  return isMissing(error) || (error instanceof StillpointError && error.code === "SOURCE_CHANGED");
}

async function readPart(path: string, offset: number, size: number): Promise<Buffer> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), 0, size, offset);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}
