import { Readable } from "node:stream";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { Connection } from "./connection.ts";
import { historyName, type Lsn, segmentName, segmentStart, segmentStarts } from "./lsn.ts";
import type { Slot } from "./slot.ts";
import { timelineOf } from "./timeline.ts";
import { walStream } from "./wal-stream.ts";

export type LogRequest = { timeline: number; start: Lsn; until: Lsn; segmentBytes: number; mtimeMs: number };

/** Writes the WAL from the segment that holds `start` up to `until`, and where its timeline came from. */
export async function addLog(tree: TreeWriter, slot: Slot, request: LogRequest): Promise<void> {
  const { timeline, start, until, segmentBytes, mtimeMs } = request;
  await tree.add({ type: "directory", path: "pg_wal", mode: 0o700, mtimeMs });
  await addHistory(tree, slot.connection, { timeline, mtimeMs });
  const from = segmentStart(start, segmentBytes);
  const wal = walStream(slot.connection, { slot: slot.name, timeline, from, until });
  try {
    await addSegments(tree, wal, request);
  } finally {
    await wal.return();
  }
}

/** Where a timeline came from, for recovery to follow it; the first came from nowhere. */
export async function addHistory(
  tree: TreeWriter,
  replication: Connection,
  { timeline, mtimeMs }: Pick<LogRequest, "timeline" | "mtimeMs">,
): Promise<void> {
  const { history } = await timelineOf(replication, timeline);
  if (history === undefined) return;
  const body = Buffer.from(history);
  const metadata = { path: `pg_wal/${historyName(timeline)}`, mode: 0o600, mtimeMs, size: body.length } as const;
  await tree.add({ type: "file", hint: "content", ...metadata }, Readable.from([body]));
}

/** Segment files as recovery looks for them. What lies after `until` in the last one is zeros. */
async function addSegments(tree: TreeWriter, wal: AsyncIterator<Buffer>, request: LogRequest): Promise<void> {
  const { timeline, start: from, until, segmentBytes, mtimeMs } = request;
  const cut = cutter(wal);
  for (const start of segmentStarts(from, until, segmentBytes)) {
    const path = `pg_wal/${segmentName(timeline, start, segmentBytes)}`;
    const entry = { type: "file", path, mode: 0o600, mtimeMs, size: segmentBytes, hint: "content" } as const;
    await tree.add(entry, cut(segmentBytes));
  }
}

/** Cuts a stream into pieces of a size; a piece that the stream's end leaves short is filled with zeros. */
function cutter(source: AsyncIterator<Buffer>): (size: number) => AsyncGenerator<Buffer, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  return async function* (size) {
    let wanted = size;
    while (wanted > 0) {
      if (rest.length === 0) {
        const next = await source.next();
        if (next.done) break;
        rest = next.value;
      }
      const piece = rest.subarray(0, wanted);
      rest = rest.subarray(piece.length);
      wanted -= piece.length;
      yield piece;
    }
    const zeros = Buffer.alloc(Math.min(wanted, 65_536));
    for (; wanted > 0; wanted -= zeros.length) yield zeros.subarray(0, wanted);
  };
}
