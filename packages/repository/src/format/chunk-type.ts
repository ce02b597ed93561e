// Apart from pack-format.ts, so that a worker thread loads neither schemas nor errors: that was half of its start.

/** What a chunk holds, which decides how it is named: 0 data, 1 a piece of a tree, n from 9 to 16 pages of 2^n bytes. */
export type ChunkType = 0 | 1 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16;

export const DATA_CHUNK = 0;
export const TREE_CHUNK = 1;

const SMALLEST_PAGE = 9;
const LARGEST_PAGE = 16;

export function isChunkType(type: number | undefined): type is ChunkType {
  return type === DATA_CHUNK || type === TREE_CHUNK || isPagesType(type);
}

function isPagesType(type: number | undefined): type is ChunkType {
  return type !== undefined && Number.isInteger(type) && type >= SMALLEST_PAGE && type <= LARGEST_PAGE;
}

/** The type of chunks with pages of this length, or undefined where it is no power of two from 512 to 65 536. */
export function pagesType(pageBytes: number): ChunkType | undefined {
  const type = Math.log2(pageBytes);
  return isPagesType(type) ? type : undefined;
}

/** The length of a page in a chunk of this type, or undefined where it holds none. */
export function pageBytesOf(type: ChunkType): number | undefined {
  return isPagesType(type) ? 2 ** type : undefined;
}
