import {
  type Block,
  bodyLengthOf,
  encodeBlocks,
  encodeEntry,
  encodePageHashes,
  type TreeRecord,
} from "../format/tree-format.ts";

const SMALLEST = 65_536;
const LONGEST = 1_048_576;
/** On average one entry in so many ends a tree chunk, once that is long enough. */
const ENTRIES_MASK = 2047;
/** Some 320 KiB of blocks. */
const EXTENTS_AT_ONCE = 8192;

/** An entry whose bytes are on their way. `held`: something is still to be written behind its last block. */
export type OpenEntry = {
  record: TreeRecord;
  left: number;
  blocks: Block[];
  extents: number;
  items: Buffer[];
  begun: boolean;
  held: boolean;
};

export type TreeBuilder = ReturnType<typeof treeBuilder>;

/**
 * Lays two divisions of one stream of bytes over each other, that into files and that into chunks, and writes the tree: each
 * file with the extents it is made of. Tree chunks end behind entries that the entry itself chooses, so that an unchanged
 * stretch of a tree is the same chunks again.
 */
export function treeBuilder(gear: Uint32Array, emit: (chunk: Uint8Array) => void) {
  const files: OpenEntry[] = [];
  /** The first entry that is not written to its end. */
  let head = 0;
  /** The entry that the next byte belongs to, or an earlier one without bytes. */
  let filling = 0;
  let heldBack = 0;
  let allReleased = Promise.withResolvers<void>();
  let pieces: Buffer[] = [];
  let length = 0;

  function endsChunk(record: TreeRecord): boolean {
    let hash = record.path.length;
    for (const byte of Buffer.from(record.path, "utf8")) hash = ((hash << 1) + (gear[byte] ?? 0)) | 0;
    return ((hash >>> 21) & ENTRIES_MASK) === 0;
  }

  function flush(): void {
    if (length === 0) return;
    emit(Buffer.concat(pieces));
    pieces = [];
    length = 0;
  }

  function write(piece: Buffer): void {
    if (length + piece.length > LONGEST) flush();
    pieces.push(piece);
    length += piece.length;
  }

  function writeReady(file: OpenEntry): void {
    if (!file.begun) write(encodeEntry(file.record));
    file.begun = true;
    for (const item of file.items.splice(0)) write(item);
  }

  function gather(file: OpenEntry): void {
    if (file.blocks.length > 0) file.items.push(encodeBlocks(file.blocks));
    file.blocks = [];
    file.extents = 0;
  }

  /** Writes what can be written: the entry at the front as far as it came, and all behind it that lack nothing. */
  function advance(): void {
    for (let file = files[head]; file !== undefined; file = files[++head]) {
      const complete = file.left === 0 && !file.held;
      if (complete) gather(file);
      if (complete || file.items.length > 0) writeReady(file);
      if (!complete) break;
      if (length >= SMALLEST && endsChunk(file.record)) flush();
    }
    if (head <= 1024 || head * 2 <= files.length) return;
    files.splice(0, head);
    filling = Math.max(0, filling - head);
    head = 0;
  }

  function current(): OpenEntry {
    while (files[filling]?.left === 0) filling++;
    const file = files[filling];
    if (file === undefined) throw new TypeError("unreachable: every byte belongs to a file");
    return file;
  }

  function push(file: OpenEntry, block: Block, blockLength: number): void {
    file.blocks.push(block);
    file.extents += block.length;
    file.left -= blockLength;
    if (file.extents >= EXTENTS_AT_ONCE) gather(file);
  }

  return {
    /** `held`: the entry waits for `release` behind its last block. */
    entry(record: TreeRecord, held = false): OpenEntry {
      const file = { record, left: bodyLengthOf(record), blocks: [], extents: 0, items: [], begun: false, held };
      if (held && heldBack++ === 0) allReleased = Promise.withResolvers();
      files.push(file);
      advance();
      return file;
    },
    /** An entry that needs nothing of the stream: `items` are all that follows it. */
    whole(record: TreeRecord, items: Buffer[]): void {
      files.push({ record, left: 0, blocks: [], extents: 0, items, begun: false, held: false });
      advance();
    },
    /** Entries that wait for one before them to be written to its end. */
    get waiting() {
      return files.length - head;
    },
    /** The next chunk of the stream, whole. */
    chunk(chunk: Uint8Array, chunkLength: number): void {
      for (let offset = 0; offset < chunkLength; ) {
        const file = current();
        const taken = Math.min(file.left, chunkLength - offset);
        push(file, [{ chunk, offset, length: taken }], taken);
        offset += taken;
      }
      advance();
    },
    /** The next blocks of the stream, which lie in one file. */
    blocks(blocks: readonly Block[]): void {
      for (const block of blocks)
        push(
          current(),
          block,
          block.reduce((sum, extent) => sum + extent.length, 0),
        );
      advance();
    },
    /** Resolves when no entry is held any more. */
    ended(): Promise<void> {
      return heldBack === 0 ? Promise.resolve() : allReleased.promise;
    },
    /** Chunks with the hashes of the pages that this file got since the last call. */
    pageHashes(file: OpenEntry, chunks: readonly Uint8Array[]): void {
      gather(file);
      file.items.push(encodePageHashes(chunks));
      advance();
    },
    release(file: OpenEntry): void {
      file.held = false;
      if (--heldBack === 0) allReleased.resolve();
      advance();
    },
    end(): void {
      advance();
      flush();
    },
  };
}
