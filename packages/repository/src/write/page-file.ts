import type { ChunkType } from "../format/chunk-type.ts";
import { NAME_LENGTH } from "../format/pack-format.ts";
import { type ChunkPages, SHORT_HASH_LENGTH } from "../format/page-hash-list.ts";
import { type Block, type Extent, MOST_EXTENTS } from "../format/tree-format.ts";
import type { PagesResult } from "../workers/tasks.ts";
import { type PageWindow, UNKNOWN_PAGE } from "./page-history.ts";

/** How a file of pages is cut: its type of chunk, the length of a page and of a block of whole pages. */
export type PageCut = { type: ChunkType; pageBytes: number; blockBytes: number };

/** Some blocks of one file, one after the other: what is looked at and stored together. */
export type PageGroup = { firstPage: number; pages: number; length: number };

/** A restore reads at most so many times what it restores. */
const READ_FACTOR = 2;

/** A group as the backup before this one has it. `deltaMost`: bytes that may be added before its blocks are stored anew. */
export type PageBefore = { window: PageWindow; hashes: Uint8Array; deltaMost: number };

/**
 * Pure. Undefined where the earlier backup has not all of the group's length, or a chunk of it cannot be leaned on: then it is
 * stored whole. Changed pages are stored in a chunk of their own as long as all chunks that the group is read from, together,
 * are at most twice as long as the group.
 */
export function pageBefore(
  window: PageWindow,
  group: PageGroup,
  cut: PageCut,
  isThere: (chunk: Uint8Array) => boolean,
): PageBefore | undefined {
  const from = group.firstPage - window.firstPage;
  const to = Math.min(from + group.pages, window.pages);
  if (from < 0 || to <= from) return undefined;
  const used = new Set<number>();
  for (let page = from; page < to; page++) used.add(window.places[page * 2] ?? UNKNOWN_PAGE);
  used.delete(UNKNOWN_PAGE);
  let bytes = 0;
  for (const number of used) {
    const chunk = window.chunks[number];
    if (chunk === undefined || !isThere(chunk.name)) return undefined;
    bytes += (chunk.hashes.length / SHORT_HASH_LENGTH) * cut.pageBytes;
  }
  const hashes = new Uint8Array(group.pages * SHORT_HASH_LENGTH);
  hashes.set(window.hashes.subarray(from * SHORT_HASH_LENGTH, to * SHORT_HASH_LENGTH));
  return { window, hashes, deltaMost: READ_FACTOR * group.length - bytes };
}

/** What became of a group: its blocks, the chunks that are new, and those of before that it still stands on. */
export type PageOutcome = { blocks: Block[]; fresh: ChunkPages[]; kept: (ChunkPages & { list: number })[] };

const nameAt = (names: Uint8Array, i: number) => names.subarray(i * NAME_LENGTH, (i + 1) * NAME_LENGTH);

/** Pure: the group as blocks of whole chunks, named by `names`. */
function whole(group: PageGroup, cut: PageCut, hashes: Uint8Array, names: Uint8Array): PageOutcome {
  const blocks: Block[] = [];
  const fresh: ChunkPages[] = [];
  const perBlock = (cut.blockBytes / cut.pageBytes) * SHORT_HASH_LENGTH;
  for (let i = 0; i * cut.blockBytes < group.length; i++) {
    const chunk = nameAt(names, i);
    blocks.push([{ chunk, offset: 0, length: Math.min(cut.blockBytes, group.length - i * cut.blockBytes) }]);
    fresh.push({ name: chunk, hashes: hashes.subarray(i * perBlock, (i + 1) * perBlock) });
  }
  return { blocks, fresh, kept: [] };
}

/** Pure: the group's extents after some pages changed; undefined where a block would have too many. */
function patched(
  group: PageGroup,
  cut: PageCut,
  { window }: PageBefore,
  changed: Uint32Array,
  delta: ChunkPages | undefined,
): PageOutcome | undefined {
  const perBlock = cut.blockBytes / cut.pageBytes;
  const kept = new Set<number>();
  const blocks: Block[] = [];
  let block: Extent[] = [];
  let nextChange = 0;
  for (let page = 0; page < group.pages; page++) {
    if (page % perBlock === 0 && page > 0) {
      blocks.push(block);
      block = [];
    }
    const isChanged = changed[nextChange] === page;
    const place = (group.firstPage - window.firstPage + page) * 2;
    const number = window.places[place] ?? UNKNOWN_PAGE;
    const chunk = isChanged ? delta : window.chunks[number];
    if (chunk === undefined) return undefined;
    const offset = (isChanged ? nextChange++ : (window.places[place + 1] ?? 0)) * cut.pageBytes;
    if (!isChanged) kept.add(number);
    const length = Math.min(cut.pageBytes, group.length - page * cut.pageBytes);
    const last = block.at(-1);
    if (last !== undefined && last.chunk === chunk.name && last.offset + last.length === offset) last.length += length;
    else block.push({ chunk: chunk.name, offset, length });
  }
  blocks.push(block);
  if (blocks.some(({ length }) => length > MOST_EXTENTS)) return undefined;
  return {
    blocks,
    fresh: delta === undefined ? [] : [delta],
    kept: [...kept].map((number) => window.chunks[number]).filter((chunk) => chunk !== undefined),
  };
}

/** Pure: what a worker found in a group, as blocks; undefined where it must be looked at again, to be stored whole. */
export function pageOutcome(
  group: PageGroup,
  cut: PageCut,
  before: PageBefore | undefined,
  { hashes, changed, names }: PagesResult,
): PageOutcome | undefined {
  if (changed === undefined) return whole(group, cut, hashes, names);
  if (before === undefined) return undefined;
  const pages = new Uint8Array(changed.length * SHORT_HASH_LENGTH);
  changed.forEach((page, i) => {
    pages.set(hashes.subarray(page * SHORT_HASH_LENGTH, (page + 1) * SHORT_HASH_LENGTH), i * SHORT_HASH_LENGTH);
  });
  const delta = changed.length === 0 ? undefined : { name: nameAt(names, 0), hashes: pages };
  return patched(group, cut, before, changed, delta);
}
