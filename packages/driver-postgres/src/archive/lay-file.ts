import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { LogPiece } from "@stillpoint/driver/recover";
import { walPositionOf } from "../log-position.ts";
import { formatLsn } from "../lsn.ts";
import { tailEntry } from "../recovery-target.ts";
import { historyText } from "../timeline-history.ts";
import type { HistoryFile, SegmentFile } from "./served-log.ts";

/** Makes a segment in an empty directory of its own: its pieces in their order, and zeros behind them. The file's path. */
export async function laySegment(segment: SegmentFile, directory: string, segmentBytes: number): Promise<string> {
  const path = `pg_wal/${segment.name}`;
  const tree = directoryTree(directory);
  for (const piece of piecesToLay(segment))
    if (piece.type === "closed") await piece.extract(directory, path);
    else await tree.add(tailEntry(piece.range, 0, segmentBytes), Readable.from([await piece.read()]));
  await tree.finish();
  await using file = await open(join(directory, path), "r+");
  await file.truncate(segmentBytes);
  return join(directory, path);
}

/**
 * Zeros behind the log are its end for PostgreSQL: before or between its bytes they would open the server too early. And where a tail
 * ends its file does: one that adds nothing, of a shipper whose place was taken, would cut off what lies behind it.
 */
function piecesToLay({ name, start, pieces }: SegmentFile): LogPiece[] {
  let reached = start;
  return pieces.filter(({ range }) => {
    const from = walPositionOf({ stream: range.stream, at: range.from }).at;
    const to = walPositionOf({ stream: range.stream, at: range.to }).at;
    if (from > reached)
      throw new StillpointError("LOG_GAP", {
        what: "The log has a hole here",
        where: name,
        why: `nothing is held from ${formatLsn(reached)} to ${formatLsn(from)}, and what comes behind it is`,
        hint: "stillpoint log shows which moments can be had",
      });
    if (to <= reached) return false;
    reached = to;
    return true;
  });
}

/** The server's own history file where it was shipped; else what is known of the timeline's past. */
export async function layHistory({ name, ancestry, first }: HistoryFile, directory: string): Promise<string> {
  const path = `pg_wal/${name}`;
  if (first?.type === "closed")
    try {
      await first.extract(directory, path);
      return join(directory, path);
    } catch (error) {
      // A stretch that some other than its first segment begins with.
      if (!(error instanceof StillpointError) || error.code !== "NOT_FOUND") throw error;
    }
  const made = join(directory, name);
  await writeFile(made, historyText(ancestry), { mode: 0o600 });
  return made;
}
