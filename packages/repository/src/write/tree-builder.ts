import {
  type Block,
  bodyLengthOf,
  type Extent,
  encodeBlocks,
  encodeEntry,
  type TreeRecord,
} from "../format/tree-format.ts";

const SMALLEST = 65_536;
const LONGEST = 1_048_576;
/** On average one entry in so many ends a tree chunk, once that is long enough. */
const ENTRIES_MASK = 2047;
const BLOCKS_AT_ONCE = 4096;

type Waiting = { record: TreeRecord; left: number; blocks: Block[]; begun: boolean };

/**
 * Lays two divisions of one stream of bytes over each other, that into files and that into chunks, and writes the tree: each
 * file with the extents it is made of. Tree chunks end behind entries that the entry itself chooses, so that an unchanged
 * stretch of a tree is the same chunks again.
 */
export function treeBuilder(gear: Uint32Array, emit: (chunk: Uint8Array) => void) {
  const files: Waiting[] = [];
  let head = 0;
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

  function writeBlocks(file: Waiting): void {
    if (!file.begun) write(encodeEntry(file.record));
    file.begun = true;
    if (file.blocks.length > 0) write(encodeBlocks(file.blocks));
    file.blocks = [];
  }

  function finish(file: Waiting): void {
    writeBlocks(file);
    if (length >= SMALLEST && endsChunk(file.record)) flush();
  }

  /** Entries at the front that lack no byte. */
  function finishReady(): void {
    for (let file = files[head]; file !== undefined && file.left === 0; file = files[++head]) finish(file);
    if (head <= 1024 || head * 2 <= files.length) return;
    files.splice(0, head);
    head = 0;
  }

  return {
    /** Entries that wait for the names of their chunks. */
    get waiting() {
      return files.length - head;
    },
    entry(record: TreeRecord): void {
      files.push({ record, left: bodyLengthOf(record), blocks: [], begun: false });
      finishReady();
    },
    /** The next chunk of the stream. */
    chunk(chunk: Uint8Array, chunkLength: number): void {
      let offset = 0;
      while (offset < chunkLength) {
        const file = files[head];
        if (file === undefined) throw new TypeError("unreachable: every byte belongs to a file");
        const taken = Math.min(file.left, chunkLength - offset);
        const extent: Extent = { chunk, offset, length: taken };
        file.blocks.push([extent]);
        file.left -= taken;
        offset += taken;
        if (file.blocks.length >= BLOCKS_AT_ONCE) writeBlocks(file);
        finishReady();
      }
    },
    end(): void {
      finishReady();
      flush();
    },
  };
}
