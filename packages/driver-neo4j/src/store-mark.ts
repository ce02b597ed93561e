import type { LogPosition } from "./log-position.ts";
import type { StoreMark } from "./mark-detail.ts";
import type { readCheckpointFiles } from "./store-capture.ts";

/** Pure: a database that was restored, up to a position of its log. */
export function storeMarkOf(
  database: string,
  { newest, files }: Awaited<ReturnType<typeof readCheckpointFiles>>,
  { position, floor }: { position: LogPosition; floor: number },
): StoreMark {
  const { txId, logVersion, offset } = newest;
  return {
    database,
    ...position,
    firstLogVersion: newest.oldestLogVersion,
    floor,
    checkpoint: { txId, logVersion, offset },
    checkpointFiles: files.map(({ name, bytes }) => ({ name, size: bytes.length })),
  };
}
