import type { Manifest } from "../format/documents.ts";
import { NAME_LENGTH } from "../format/pack-format.ts";
import { type ChunkPages, decodePageHashList, SHORT_HASH_LENGTH } from "../format/page-hash-list.ts";
import { type Block, decodeTreeItems, type TreeItem, type TreeRecord } from "../format/tree-format.ts";
import { joinReads, readChunks } from "../read/chunk-reader.ts";
import type { RepositoryContext } from "../repository-context.ts";

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

const keyOf = (name: Uint8Array) => Buffer.from(name.buffer, name.byteOffset, NAME_LENGTH).toString("hex");

/** Pure: where each page of some blocks lies, by the hashes that are known of their chunks. */
export function pageWindow(
  firstPage: number,
  blocks: readonly Block[],
  lists: readonly { name: Uint8Array; chunks: readonly ChunkPages[] }[],
  pageBytes: number,
): PageWindow {
  const known = new Map(
    lists.flatMap(({ chunks }, list) => chunks.map((chunk) => [keyOf(chunk.name), { ...chunk, list }] as const)),
  );
  const extents = blocks.flat();
  const pages = extents.reduce((sum, { length }) => sum + Math.ceil(length / pageBytes), 0);
  const places = new Uint32Array(pages * 2).fill(UNKNOWN_PAGE);
  const hashes = new Uint8Array(pages * SHORT_HASH_LENGTH);
  const chunks: PageWindow["chunks"] = [];
  const numbers = new Map<string, number>();
  let page = 0;
  for (const { chunk, offset, length } of extents) {
    const key = keyOf(chunk);
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
export function pageHistory(
  context: RepositoryContext,
  { tree }: Manifest,
  where: string,
  signal: AbortSignal,
): PageHistory {
  let decoded: { number: number; items: TreeItem[] } | undefined;
  let directory: Promise<Map<string, { chunk: number; item: number; hint: string }>> | undefined;
  const lists = new Map<string, ChunkPages[] | undefined>();

  /** Undefined where the repository does not have it any more: then there is no history, and no harm. */
  async function chunk(name: Uint8Array): Promise<Uint8Array | undefined> {
    const location = context.index.locate(name);
    const [read] = location === undefined ? [] : joinReads([{ name, location }]);
    return read && (await readChunks(context, read, signal)).get(Buffer.from(name).toString("hex"));
  }

  async function items(number: number): Promise<TreeItem[]> {
    if (decoded?.number === number) return decoded.items;
    const bytes = await chunk(Buffer.from(tree[number] ?? "", "hex"));
    const list = bytes === undefined ? [] : [...decodeTreeItems(where, Buffer.from(bytes))];
    decoded = { number, items: list };
    return list;
  }

  async function listFiles() {
    const files = new Map<string, { chunk: number; item: number; hint: string }>();
    for (let number = 0; number < tree.length; number++)
      (await items(number)).forEach((item, i) => {
        if (item.item !== "entry" || item.entry.type !== "file" || !item.entry.hint.startsWith("page:")) return;
        // A body that was laid over a part of the file, or that came twice, says nothing about the whole.
        if (files.has(item.entry.path) || item.entry.offset !== undefined) files.delete(item.entry.path);
        else files.set(item.entry.path, { chunk: number, item: i, hint: item.entry.hint });
      });
    return files;
  }

  async function listOf(name: Uint8Array): Promise<ChunkPages[] | undefined> {
    const key = keyOf(name);
    if (!lists.has(key)) {
      const bytes = await chunk(name);
      lists.set(key, bytes && decodePageHashList(bytes));
      for (const oldest of lists.keys()) if (lists.size > LISTS_KEPT) lists.delete(oldest);
    }
    return lists.get(key);
  }

  async function* windows(from: { chunk: number; item: number }, pageBytes: number): AsyncGenerator<PageWindow> {
    let blocks: Block[] = [];
    let page = 0;
    for (let number = from.chunk, first = from.item + 1; number < tree.length; number++, first = 0) {
      const all = await items(number);
      for (const item of all.slice(first)) {
        if (item.item === "entry") return;
        if (item.item === "blocks") blocks.push(...item.blocks);
        else {
          const known = await Promise.all(
            item.chunks.map(async (name) => ({ name, chunks: (await listOf(name)) ?? [] })),
          );
          const window = pageWindow(page, blocks, known, pageBytes);
          yield window;
          page += window.pages;
          blocks = [];
        }
      }
    }
  }

  return {
    async open(record, pageBytes) {
      directory ??= listFiles();
      const found = (await directory).get(record.path);
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
