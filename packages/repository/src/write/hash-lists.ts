import { type ChunkPages, encodePageHashList } from "../format/page-hash-list.ts";

/** Enough for a chunk that is worth its place in an index; the files that wait for it are few then. */
const LIST_BYTES = 131_072;
const LONGEST_LIST = 1_048_576;

/** Gathers hashes of pages, of several files together, into chunks. `store` names and stores one. */
export function hashLists(store: (list: Buffer) => Promise<Uint8Array>) {
  let waiting: ChunkPages[] = [];
  let bytes = 0;
  let next = Promise.withResolvers<Uint8Array[]>();

  function flush(): void {
    if (waiting.length === 0) return;
    const full = next;
    const lists: ChunkPages[][] = [];
    let length = Number.POSITIVE_INFINITY;
    for (const chunk of waiting) {
      if (length + chunk.hashes.length > LONGEST_LIST) {
        lists.push([]);
        length = 0;
      }
      lists.at(-1)?.push(chunk);
      length += chunk.hashes.length + 36;
    }
    waiting = [];
    bytes = 0;
    next = Promise.withResolvers<Uint8Array[]>();
    Promise.all(lists.map((list) => store(encodePageHashList(list)))).then(full.resolve, full.reject);
  }

  return {
    /** Names of the chunks that hold these hashes, and maybe others: known once enough came together, or after `flush`. */
    add(chunks: readonly ChunkPages[]): Promise<Uint8Array[]> {
      if (chunks.length === 0) return Promise.resolve([]);
      const { promise } = next;
      waiting.push(...chunks);
      bytes += chunks.reduce((sum, { hashes }) => sum + hashes.length + 36, 0);
      if (bytes >= LIST_BYTES) flush();
      return promise;
    },
    flush,
  };
}
