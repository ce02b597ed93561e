import { CUTTER_START, type Cut, type CutterState, type Piece } from "../chunking/cutter.ts";
import { DATA_CHUNK } from "../format/chunk-type.ts";
import type { FileRead } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { abortable } from "./abortable.ts";
import type { ChunkEnds } from "./chunk-ends.ts";
import type { chunkSink } from "./chunk-sink.ts";
import type { PageGroup } from "./page-file.ts";
import type { PageFile, pageWriter } from "./page-writer.ts";
import { HEADROOM, SLAB_BYTES, type Slab, type SlabShare } from "./slabs.ts";
import { spanGroups, spansOf } from "./span-groups.ts";
import type { taskGroup } from "./task-group.ts";

export type BodyWriterOptions = {
  pool: WorkerPool;
  sink: ReturnType<typeof chunkSink>;
  pages: ReturnType<typeof pageWriter>;
  group: ReturnType<typeof taskGroup>;
  signal: AbortSignal;
  slabs: SlabShare;
  /** Resolves when not too many packs wait to be stored. */
  room: (signal: AbortSignal) => Promise<void>;
  /** A chunk of the stream, in order. */
  chunk: (name: Uint8Array, length: number) => void;
  /** A file ended before it had all of its bytes. */
  short: (path: string) => void;
};

/** Blocks that are looked at together. */
const GROUP_BLOCKS = 4;

/** What lies in a slab: bytes to be cut by their content, or a group of pages of one file. */
type Run =
  | { pages?: undefined; start: number; end: number; pieces: Piece[]; closes: boolean }
  | { pages: PageFile; start: number; group: PageGroup };

type Filling = Slab & { runs: Run[]; reads: FileRead[] };

/** The body that is being written. */
type Body =
  | { pages?: undefined; cut: Cut; begun: boolean; at: number; ends: ChunkEnds | undefined }
  | { pages: PageFile; left: number; page: number; start: number; length: number; target: number };

/**
 * All bodies of a backup as one stream: copied or read once into shared memory, cut there in order, named and sealed there
 * by whichever worker is free.
 */
export function bodyWriter(options: BodyWriterOptions) {
  const { pool, sink, pages, group, signal, slabs } = options;
  const { carry } = slabs;
  let state: CutterState = CUTTER_START;
  let slab: Filling | undefined;
  let body: Body | undefined;
  let cutting: Promise<void> = Promise.resolve();
  /** The tree is told in the stream's order, whichever worker is ready first. */
  let telling: Promise<void> = Promise.resolve();

  function tell(what: () => Promise<void>): void {
    telling = telling.then(what);
    telling.catch(group.fail);
  }

  async function cut(full: Slab, start: number, end: number, of: readonly Piece[], last: boolean): Promise<void> {
    const begin = start - state.open;
    const { memory } = full;
    const result = await pool.run({ task: "cut", slab: memory, carry, at: start, end, pieces: of, state, last });
    state = result.state;
    for (const spans of spanGroups(spansOf(result.lengths, begin))) {
      full.holders++;
      const named = sink.add(memory, spans, DATA_CHUNK, () => slabs.release(full));
      named.catch(group.fail);
      tell(async () => {
        const names = await named;
        names.forEach((name, i) => {
          options.chunk(name, spans[i]?.length ?? 0);
        });
      });
    }
  }

  async function storePages(
    full: Slab,
    { pages: file, start, group: found }: Run & { pages: PageFile },
  ): Promise<void> {
    const window = await file.history?.at(found.firstPage);
    full.holders++;
    const stored = pages.store(file, found, window, full.memory, start, () => slabs.release(full));
    stored.catch(group.fail);
    tell(async () => await (await stored)());
  }

  async function process(
    full: Filling,
    filled: Promise<{ short: string[] }> | undefined,
    last: boolean,
  ): Promise<void> {
    for (const path of (await filled)?.short ?? []) options.short(path);
    // Before pages, and at the end, the chunk that the slab before left open is closed.
    if (state.open > 0 && (full.runs[0] === undefined ? last : full.runs[0].pages !== undefined))
      await cut(full, HEADROOM, HEADROOM, [], true);
    for (const [i, run] of full.runs.entries())
      if (run.pages !== undefined) await storePages(full, run);
      else await cut(full, run.start, run.end, run.pieces, run.closes || (last && i === full.runs.length - 1));
    slabs.release(full);
  }

  function submit(last: boolean): void {
    if (slab === undefined) return;
    const full = slab;
    slab = undefined;
    const { reads, memory } = full;
    const filled = reads.length === 0 ? undefined : pool.run({ task: "read", slab: memory, reads });
    filled?.catch(group.fail);
    cutting = cutting.then(() => process(full, filled, last));
    cutting.catch(group.fail);
  }

  async function nextSlab(): Promise<Filling> {
    await options.room(signal);
    group.check();
    slab = { ...(await slabs.acquire(signal)), runs: [], reads: [] };
    return slab;
  }

  function pushPiece(to: Filling, piece: Piece): void {
    const run = to.runs.at(-1);
    const end = HEADROOM + to.used;
    if (run !== undefined && run.pages === undefined) {
      const last = run.pieces.at(-1);
      if (last === undefined || last.ends || piece.begins) run.pieces.push(piece);
      else {
        // What lay beyond it is told again with what follows.
        last.earlier = last.earlier.filter((end) => end <= last.length);
        last.earlier.push(...piece.earlier.map((end) => end + last.length));
        last.length += piece.length;
        last.ends = piece.ends;
      }
      run.end = end;
    } else to.runs.push({ start: end - piece.length, end, pieces: [piece], closes: false });
  }

  /** How many bytes of the body may go to the slab now, up to `most`, and the slab. */
  async function place(most: number): Promise<{ target: Filling; length: number; earlier: number[] }> {
    if (body?.pages !== undefined && body.length === 0) {
      const { blockBytes } = body.pages.cut;
      const blocks = Math.max(1, Math.min(GROUP_BLOCKS, Math.floor(SLAB_BYTES / blockBytes)));
      body.target = Math.min(blocks * blockBytes, body.left);
      // A group lies in one slab.
      if (slab !== undefined && SLAB_BYTES - slab.used < body.target) submit(false);
    }
    const target = slab ?? (await nextSlab());
    if (body?.pages === undefined) {
      const length = Math.min(most, SLAB_BYTES - target.used);
      const at = body?.at ?? 0;
      return { target, length, earlier: (await body?.ends?.between(at, at + length)) ?? [] };
    }
    if (body.length === 0) {
      body.start = HEADROOM + target.used;
      const before = target.runs.at(-1);
      if (before !== undefined && before.pages === undefined) before.closes = true;
    }
    return { target, length: Math.min(most, body.target - body.length), earlier: [] };
  }

  function took({ target, length, earlier }: Awaited<ReturnType<typeof place>>): void {
    target.used += length;
    if (body?.pages !== undefined) {
      body.length += length;
      if (body.length < body.target) return;
      const { pageBytes } = body.pages.cut;
      const found = { firstPage: body.page, pages: Math.ceil(body.length / pageBytes), length: body.length };
      target.runs.push({ pages: body.pages, start: body.start, group: found });
      body.page += found.pages;
      body.left -= body.length;
      body.length = 0;
    } else if (body !== undefined) {
      pushPiece(target, { cut: body.cut, length, begins: !body.begun, ends: false, earlier });
      body.begun = true;
      body.at += length;
    }
    if (target.used === SLAB_BYTES) submit(false);
  }

  return {
    /** `ends`: where its chunks ended in the backup before this one. */
    begin({ cut: how, ends }: { cut: Cut; ends?: ChunkEnds }): void {
      body = { cut: how, begun: false, at: 0, ends };
    },
    beginPages(file: PageFile): void {
      body = { pages: file, left: file.left, page: 0, start: 0, length: 0, target: 0 };
    },
    async write(bytes: Uint8Array): Promise<void> {
      const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < bytes.length; ) {
        const placed = await place(bytes.length - at);
        const { target, length } = placed;
        // Not set(), which copies to shared memory word by word.
        source.copy(target.bytes, HEADROOM + target.used, at, at + length);
        at += length;
        took(placed);
      }
    },
    /** The first `size` bytes of a file of this machine, read by a worker. */
    async writeFile(path: string, size: number): Promise<void> {
      for (let offset = 0; offset < size; ) {
        const placed = await place(size - offset);
        const { target, length } = placed;
        target.reads.push({ path, offset, length, at: HEADROOM + target.used });
        offset += length;
        took(placed);
      }
    },
    /** The body's end; an empty one counts too, as a place where a bundle may end. */
    async end(): Promise<void> {
      if (body === undefined || body.pages !== undefined) return;
      const { cut: how, begun } = body;
      body = undefined;
      const target = slab ?? (await nextSlab());
      pushPiece(target, { cut: how, length: 0, begins: !begun, ends: true, earlier: [] });
      const run = target.runs.at(-1);
      if (run?.pages === undefined && (run?.pieces.length ?? 0) >= 8192) submit(false);
    },
    /** Between two bodies: what is open is closed, and the tree told all that came when it resolves. */
    async settle(): Promise<void> {
      if (slab === undefined) await nextSlab();
      submit(true);
      await abortable(cutting, signal);
      await abortable(telling, signal);
    },
    /** The stream's end: the tree has been told all when it resolves. */
    async finish(): Promise<void> {
      if (slab === undefined) await nextSlab();
      submit(true);
      await cutting;
      slabs.end();
      await telling;
    },
  };
}
