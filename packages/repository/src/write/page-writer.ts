import { nameKey } from "../format/pack-format.ts";
import type { ChunkPages } from "../format/page-hash-list.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { chunkSink } from "./chunk-sink.ts";
import type { hashLists } from "./hash-lists.ts";
import {
  type PageBefore,
  type PageCut,
  type PageGroup,
  type PageOutcome,
  pageBefore,
  pageOutcome,
} from "./page-file.ts";
import type { FileHistory, PageWindow } from "./page-history.ts";
import type { OpenEntry, TreeBuilder } from "./tree-builder.ts";

export type PageWriterOptions = {
  pool: WorkerPool;
  sink: ReturnType<typeof chunkSink>;
  lists: ReturnType<typeof hashLists>;
  builder: TreeBuilder;
  fail: (error: unknown) => void;
};

/** A file of pages while it is written. Its hashes are listed for each stretch of `WINDOW_BLOCKS` blocks. */
export type PageFile = {
  cut: PageCut;
  entry: OpenEntry;
  history: FileHistory | undefined;
  /** Chunks of this stretch that no list names yet, by name. */
  fresh: Map<string, ChunkPages>;
  /** Those of before that this stretch still stands on, and the list of each. */
  kept: Map<string, { chunk: ChunkPages; list: Uint8Array }>;
  blocks: number;
  left: number;
};

/** 1 GiB of blocks: what of a file's hashes is in memory at once. */
const WINDOW_BLOCKS = 1024;
/** Past so many lists of one stretch its hashes are listed anew, in one. */
const MOST_LISTS = 8;

/** Stores groups of pages: what changed since the backup before, in as few bytes as a quick restore allows. */
export function pageWriter({ pool, sink, lists, builder, fail }: PageWriterOptions) {
  const epoch = sink.epoch;

  async function look(memory: SharedArrayBuffer, start: number, group: PageGroup, cut: PageCut, before?: PageBefore) {
    return await pool.run({
      task: "pages",
      slab: memory,
      start,
      length: group.length,
      ...cut,
      epoch,
      ...(before === undefined ? {} : { before: before.hashes, deltaMost: before.deltaMost }),
    });
  }

  /** What of a stretch is to be listed, and which lists of before go on serving. */
  function listing(file: PageFile): { add: ChunkPages[]; keep: Uint8Array[] } {
    const keep = new Map([...file.kept.values()].map(({ list }) => [nameKey(list), list]));
    const fresh = [...file.fresh.values()];
    if (keep.size < MOST_LISTS) return { add: fresh, keep: [...keep.values()] };
    return { add: [...fresh, ...[...file.kept.values()].map(({ chunk }) => chunk)], keep: [] };
  }

  async function endWindow(file: PageFile): Promise<void> {
    const { add, keep } = listing(file);
    file.fresh.clear();
    file.kept.clear();
    const added = lists.add(add);
    const tell = async () => builder.pageHashes(file.entry, [...keep, ...(await added)]);
    if (file.left > 0) {
      // The next blocks come behind these hashes.
      lists.flush();
      await tell();
    } else tell().then(() => builder.release(file.entry), fail);
  }

  return {
    open(cut: PageCut, entry: OpenEntry, history: FileHistory | undefined): PageFile {
      return { cut, entry, history, fresh: new Map(), kept: new Map(), blocks: 0, left: entry.left };
    },
    /** Looks at a group in memory and stores what is new. Its answer tells the tree: to be called in the order of groups. */
    async store(
      file: PageFile,
      group: PageGroup,
      window: PageWindow | undefined,
      memory: SharedArrayBuffer,
      start: number,
      done: () => void,
    ): Promise<() => Promise<void>> {
      const { cut } = file;
      const isThere = (chunk: Uint8Array) => sink.leanOn(chunk);
      let before = window && pageBefore(window, group, cut, isThere);
      let result = await look(memory, start, group, cut, before);
      let outcome: PageOutcome | undefined = pageOutcome(group, cut, before, result);
      if (outcome === undefined) {
        before = undefined;
        result = await look(memory, start, group, cut);
        outcome = pageOutcome(group, cut, undefined, result);
      }
      if (outcome === undefined) throw new TypeError("unreachable: a group without a past is stored whole");
      const names = outcome.fresh.map(({ name }) => name);
      if (result.delta !== undefined) {
        sink.store(result.delta, [{ start: 0, length: result.delta.byteLength }], names, cut.type, () => undefined);
        done();
      } else if (names.length > 0) {
        const spans = outcome.blocks.map((_, i) => ({
          start: start + i * cut.blockBytes,
          length: Math.min(cut.blockBytes, group.length - i * cut.blockBytes),
        }));
        sink.store(memory, spans, names, cut.type, done);
      } else done();
      const { blocks, fresh, kept } = outcome;
      const past = window?.lists ?? [];
      return async () => {
        builder.blocks(blocks);
        for (const chunk of fresh) file.fresh.set(nameKey(chunk.name), chunk);
        for (const chunk of kept) {
          const list = past[chunk.list];
          if (list !== undefined && sink.leanOn(list)) file.kept.set(nameKey(chunk.name), { chunk, list });
          else file.fresh.set(nameKey(chunk.name), chunk);
        }
        file.blocks += blocks.length;
        file.left -= group.length;
        if (file.left > 0 && file.blocks < WINDOW_BLOCKS) return;
        file.blocks = 0;
        await endWindow(file);
      };
    },
  };
}
