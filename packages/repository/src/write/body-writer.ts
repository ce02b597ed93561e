import { CUTTER_START, type Cut, type CutterState, type Piece } from "../chunking/cutter.ts";
import { DATA_CHUNK } from "../format/chunk-type.ts";
import type { Chunking } from "../format/documents.ts";
import type { Span } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { chunkSink } from "./chunk-sink.ts";
import { HEADROOM, SLAB_BYTES, type Slab, type SlabShare } from "./slabs.ts";
import type { taskGroup } from "./task-group.ts";

export type BodyWriterOptions = {
  chunking: Chunking;
  pool: WorkerPool;
  sink: ReturnType<typeof chunkSink>;
  group: ReturnType<typeof taskGroup>;
  signal: AbortSignal;
  slabs: SlabShare;
  /** Resolves when not too many packs wait to be stored. */
  room: (signal: AbortSignal) => Promise<void>;
  /** A chunk of the stream, in order. */
  chunk: (name: Uint8Array, length: number) => void;
};

/** Chunks go to a worker in groups of about so many bytes: fewer messages for small ones. */
const GROUP_BYTES = 1_048_576;
const GROUP_CHUNKS = 256;

function groupsOf(lengths: readonly number[], start: number): Span[][] {
  const groups: Span[][] = [];
  let group: Span[] = [];
  let bytes = 0;
  let at = start;
  for (const length of lengths) {
    if (group.length > 0 && (bytes + length > GROUP_BYTES || group.length >= GROUP_CHUNKS)) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push({ start: at, length });
    bytes += length;
    at += length;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/**
 * All bodies of a backup as one stream: copied once into shared memory, cut there in order, named and sealed there by
 * whichever worker is free.
 */
export function bodyWriter(options: BodyWriterOptions) {
  const { pool, sink, group, signal, slabs } = options;
  const carry = new SharedArrayBuffer(HEADROOM);
  let state: CutterState = CUTTER_START;
  let slab: Slab | undefined;
  let pieces: Piece[] = [];
  let cutting: Promise<void> = Promise.resolve();
  /** Chunks are told in their order, whichever worker is ready first. */
  let telling: Promise<void> = Promise.resolve();

  async function cut(full: Slab, of: Piece[], last: boolean): Promise<void> {
    const { memory, used } = full;
    const begin = HEADROOM - state.open;
    const result = await pool.run({
      task: "cut",
      slab: memory,
      carry,
      at: HEADROOM,
      end: HEADROOM + used,
      pieces: of,
      state,
      last,
    });
    state = result.state;
    for (const spans of groupsOf(result.lengths, begin)) {
      full.holders++;
      const named = sink.add(memory, spans, DATA_CHUNK, () => slabs.release(full));
      named.catch(group.fail);
      telling = telling.then(async () => {
        const names = await named;
        names.forEach((name, i) => {
          options.chunk(name, spans[i]?.length ?? 0);
        });
      });
      telling.catch(group.fail);
    }
    slabs.release(full);
  }

  function submit(last: boolean): void {
    if (slab === undefined) return;
    const [full, of] = [slab, pieces];
    slab = undefined;
    pieces = [];
    cutting = cutting.then(() => cut(full, of, last));
    cutting.catch(group.fail);
  }

  async function nextSlab(): Promise<Slab> {
    await options.room(signal);
    group.check();
    slab = await slabs.acquire(signal);
    return slab;
  }

  let current: Piece | undefined;

  return {
    begin(how: { cut: Cut; unit: number }): void {
      current = { ...how, length: 0, begins: true, ends: false };
    },
    async write(bytes: Uint8Array): Promise<void> {
      for (let at = 0; at < bytes.length; ) {
        const target = slab ?? (await nextSlab());
        const taken = bytes.subarray(at, at + SLAB_BYTES - target.used);
        target.bytes.set(taken, HEADROOM + target.used);
        target.used += taken.length;
        at += taken.length;
        if (current !== undefined) current.length += taken.length;
        if (target.used === SLAB_BYTES) {
          if (current !== undefined) {
            pieces.push(current);
            current = { ...current, length: 0, begins: false };
          }
          submit(false);
        }
      }
    },
    /** The body's end; an empty one counts too, as a place where a bundle may end. */
    async end(): Promise<void> {
      if (current === undefined) return;
      slab ??= await nextSlab();
      pieces.push({ ...current, ends: true });
      current = undefined;
      if (pieces.length >= 8192) submit(false);
    },
    /** The stream's end: every chunk has been told when it resolves. */
    async finish(): Promise<void> {
      slab ??= await nextSlab();
      submit(true);
      await cutting;
      await telling;
    },
  };
}
