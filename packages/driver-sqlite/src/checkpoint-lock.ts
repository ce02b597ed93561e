import { openSync } from "node:fs";
import { openByteLocks } from "@stillpoint/direct-io/byte-lock";

/** Where SQLite's write-ahead log format has the lock of who checkpoints, in the `-shm` file. */
const CHECKPOINT_BYTE = 121;
/** An application's own try takes some microseconds. */
const TRIES = 100;

/** The lock under which checkpoints are made, kept between them. */
export type CheckpointLock = { take(): boolean; release(): void };

/**
 * While a log is held, an application that has 1000 frames in it tries to checkpoint after each of its commits, in vain: where
 * it commits without a pause that is a third of what a commit takes. Whoever has this lock is the one that checkpoints, and others
 * leave it at one look. For a process that checkpoints itself: SQLite's own taking and leaving of the lock in the same process is
 * not kept from it, and leaves it free.
 *
 * Undefined where this runtime has no such locks, or the account may not write the file. The descriptor stays open: see `holder.ts`.
 */
export function openCheckpointLock(path: string): CheckpointLock | undefined {
  const locks = openByteLocks();
  if (locks === undefined) return undefined;
  let fd: number;
  try {
    fd = openSync(`${path}-shm`, "r+");
  } catch {
    // An account that may only read cannot checkpoint either.
    return undefined;
  }
  return {
    take() {
      for (let tries = 0; tries < TRIES; tries += 1) if (locks.take(fd, CHECKPOINT_BYTE)) return true;
      return false;
    },
    release: () => locks.release(fd, CHECKPOINT_BYTE),
  };
}
