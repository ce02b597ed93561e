import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Chunking } from "./format/documents.ts";
import type { ChunkIndex } from "./index/chunk-index.ts";
import type { indexLoader } from "./index/load-index.ts";
import type { KeyRing } from "./keys/key-ring.ts";
import type { WorkerPool } from "./workers/worker-pool.ts";
import type { semaphore } from "./write/task-group.ts";

/** What the parts of an open repository share. */
export type RepositoryContext = {
  store: ObjectStore;
  ring: KeyRing;
  chunking: Chunking;
  gear: Uint32Array;
  index: ChunkIndex;
  loader: ReturnType<typeof indexLoader>;
  pool: WorkerPool;
  /** Packs being stored at once, by all backups together. */
  uploads: ReturnType<typeof semaphore>;
  /** Memory of ended backups, for the next ones. */
  spareSlabs: SharedArrayBuffer[];
  random: (length: number) => Uint8Array;
  now: () => number;
};
