import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { ChangeLog } from "./changes/change-log.ts";
import type { SealedPoints } from "./changes/sealed-points.ts";
import type { Chunking } from "./format/documents.ts";
import type { CondemnedLog } from "./garbage/condemned-log.ts";
import type { IndexLoader } from "./index/index-loader.ts";
import type { StoredChunkIndex } from "./index/stored-chunk-index.ts";
import type { KeyRing } from "./keys/key-ring.ts";
import type { LogReader } from "./log/source-log.ts";
import type { readQueue } from "./read/read-queue.ts";
import type { Fallback } from "./replicas/other-copies.ts";
import type { WorkerPool } from "./workers/worker-pool.ts";
import type { newestBackups } from "./write/find-parent.ts";
import type { slabPool } from "./write/slabs.ts";
import type { uploadQueue } from "./write/upload-queue.ts";

/** What the parts of an open repository share. */
export type RepositoryContext = {
  store: ObjectStore;
  ring: KeyRing;
  chunking: Chunking;
  gear: Uint32Array;
  index: StoredChunkIndex;
  loader: IndexLoader;
  pool: WorkerPool;
  /** Packs being stored at once, by all backups together. */
  uploads: ReturnType<typeof uploadQueue>;
  /** Ranges of packs being restored from. */
  reads: ReturnType<typeof readQueue>;
  /** Buffers for the bytes that came in, of all backups together. */
  slabs: ReturnType<typeof slabPool>;
  /** What was deleted, undeleted, released, promoted, tagged. */
  changes: ChangeLog;
  newest: ReturnType<typeof newestBackups>;
  /** Which backups each point stands on. */
  sealed: SealedPoints;
  condemned: CondemnedLog;
  /** What is held of the logs of sources. */
  logs: LogReader;
  /** How long a lease lives that is not renewed, by the storage's clock. */
  leaseMs: number;
  /** Hears of every read that something else served than what it asked first. */
  fellBack: (fallback: Fallback) => void;
  random: (length: number) => Uint8Array;
  now: () => number;
  /** Milliseconds that only go forward, for durations. */
  monotonicMs: () => number;
};
