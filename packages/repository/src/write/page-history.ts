import { nameKey } from "../format/pack-format.ts";
import { type ChunkPages, decodePageHashList, SHORT_HASH_LENGTH } from "../format/page-hash-list.ts";
import type { Block, TreeRecord } from "../format/tree-format.ts";
import type { FilePlace, ParentTree } from "./parent-tree.ts";

/** A page that the backup before this one does not have, or not in a way that can be leaned on. */
export const UNKNOWN_PAGE = 0xffff_ffff;

/** A stretch of a file of pages as an earlier backup has it. Pages are counted from `firstPage` on. */
export type PageWindow = {
  firstPage: number;
  pages: number;
  /** For each page the number of its chunk in `chunks`, or UNKNOWN_PAGE; then the page's number in that chunk. */
  places: Uint32Array;
  /** SHORT_HASH_LENGTH bytes for each page; zeros where it is unknown. */
  hashes: Uint8Array;
  /** `list`: which of `lists` tells of its pages. */
  chunks: (ChunkPages & { list: number })[];
  /** Names of the chunks that hold the hashes. */
  lists: Uint8Array[];
};

export type FileHistory = {
  /** The window that holds a page, which must not lie before one that was asked for earlier. */
  at(page: number): Promise<PageWindow | undefined>;
};

export type PageHistory = { open(record: TreeRecord, pageBytes: number): Promise<FileHistory | undefined> };

/** Chunks of hashes that stay in memory: neighbouring files share them. */
const LISTS_KEPT = 16;

/** Pure: where each page of some blocks lies, by the hashes that are known of their chunks. */
export function pageWindow(
  firstPage: number,
  blocks: readonly Block[],
  lists: readonly { name: Uint8Array; chunks: readonly ChunkPages[] }[],
  pageBytes: number,
): PageWindow {
  const known = new Map(
    lists.flatMap(({ chunks }, list) => chunks.map((chunk) => [nameKey(chunk.name), { ...chunk, list }] as const)),
  );
  const extents = blocks.flat();
  const pages = extents.reduce((sum, { length }) => sum + Math.ceil(length / pageBytes), 0);
  const places = new Uint32Array(pages * 2).fill(UNKNOWN_PAGE);
  const hashes = new Uint8Array(pages * SHORT_HASH_LENGTH);
  const chunks: PageWindow["chunks"] = [];
  const numbers = new Map<string, number>();
  let page = 0;
  for (const { chunk, offset, length } of extents) {
    const key = nameKey(chunk);
    const found = offset % pageBytes === 0 ? known.get(key) : undefined;
    const count = Math.ceil(length / pageBytes);
    if (found !== undefined) {
      const number = numbers.get(key) ?? chunks.push(found) - 1;
      numbers.set(key, number);
      const from = offset / pageBytes;
      hashes.set(
        found.hashes.subarray(from * SHORT_HASH_LENGTH, (from + count) * SHORT_HASH_LENGTH),
        page * SHORT_HASH_LENGTH,
      );
      for (let i = 0; i < count; i++) places.set([number, from + i], (page + i) * 2);
    }
    page += count;
  }
  return { firstPage, pages, places, hashes, chunks, lists: lists.map(({ name }) => name) };
}

/** The pages of one earlier backup, file by file, read as they are asked for. */
export function pageHistory(tree: ParentTree): PageHistory {
  const lists = new Map<string, ChunkPages[] | undefined>();

  async function listOf(name: Uint8Array): Promise<ChunkPages[] | undefined> {
    const key = nameKey(name);
    if (!lists.has(key)) {
      const bytes = await tree.chunk(name);
      lists.set(key, bytes && decodePageHashList(bytes));
      for (const oldest of lists.keys()) if (lists.size > LISTS_KEPT) lists.delete(oldest);
    }
    return lists.get(key);
  }

  async function* windows(from: FilePlace, pageBytes: number): AsyncGenerator<PageWindow> {
    let blocks: Block[] = [];
    let page = 0;
    for await (const item of tree.itemsOf(from)) {
      if (item.item === "blocks") {
        blocks.push(...item.blocks);
        continue;
      }
      const known = await Promise.all(item.chunks.map(async (name) => ({ name, chunks: (await listOf(name)) ?? [] })));
      const window = pageWindow(page, blocks, known, pageBytes);
      yield window;
      page += window.pages;
      blocks = [];
    }
  }

  return {
    async open(record, pageBytes) {
      const found = await tree.find(record.path);
      if (found === undefined || record.type !== "file" || found.hint !== record.hint) return undefined;
      const following = windows(found, pageBytes);
      let window: PageWindow | undefined;
      return {
        async at(page) {
          while (window === undefined || page >= window.firstPage + window.pages) {
            const next = await following.next();
            if (next.done) return undefined;
            window = next.value;
          }
          return page < window.firstPage ? undefined : window;
        },
      };
    },
  };
}
