import type { LogRange } from "@stillpoint/contracts/log";

/**
 * How a chunker should see a file: pages of a database file that change in place, content-defined boundaries, or a tar
 * whose inner entries bound the chunks.
 */
export type ChunkHint = "content" | "tar" | `page:${number}`;

type Metadata = {
  /** Relative, `/`-separated, no `.` or `..` component. */
  path: string;
  /** Permission bits. */
  mode: number;
  uid?: number;
  gid?: number;
  mtimeMs: number;
  xattrs?: Record<string, Buffer>;
};

/** An entry of a backup's tree. A later entry of the same path replaces an earlier one. */
export type TreeEntry =
  | (Metadata & {
      type: "file";
      /** Bytes of the body. */
      size: number;
      hint: ChunkHint;
      /** The body begins here in the file, whose bytes before it are in an earlier backup or entry. Default 0, a whole file. */
      offset?: number;
      /**
       * What its source knows this state of the file by, beside its size and time: of a file system time of change and
       * inode. Of the same path with the same three, the bytes are the same.
       */
      identity?: string;
      /**
       * Of a file with several paths: the one that this backup has first, of that one its own. They come back as links of one
       * file; the body is with each all the same.
       */
      link?: string;
      /** Runs of zeros are to be holes again. */
      sparse?: true;
      /** For writers: stretches of zeros, in order, that the body leaves out. Who reads a tar gets them filled. */
      holes?: readonly Hole[];
    })
  | (Metadata & { type: "directory" })
  | (Metadata & { type: "symlink"; target: string })
  /** The path, with all below it, is gone since the backup that this one is laid over. */
  | { type: "deleted"; path: string };

export type Hole = { offset: number; length: number };

/** What a tree can take without a body: a file as it is in the backup before this one, and what has none. */
export type BodilessEntry =
  | Extract<TreeEntry, { type: "directory" | "symlink" }>
  | { type: "unchanged"; path: string; size: number; mtimeMs: number; identity: string };

/** Of the bodies of files that are sent, how many bytes are not left out as holes. */
export function bodyBytes({ size, holes = [] }: { size: number; holes?: readonly Hole[] }): number {
  return holes.reduce((left, { length }) => left - length, size);
}

/** A file as it lies in an extracted tree; what a layout is decided by. */
export type TreeFile = { path: string; size: number };

export interface TreeWriter {
  /**
   * Writes one entry; resolves when the stream took it (back-pressure). A body that ends early is padded with zeros and
   * one that goes on is cut at `size`: both give `torn: true`, and the entry carries that mark, so that it can be added
   * again.
   */
  add(entry: TreeEntry, body?: AsyncIterable<Uint8Array>): Promise<{ torn: boolean }>;
  /**
   * Says which stretch of its source's log the backup holds; said again, the last one counts. Of a full: `from` is where the
   * log begins that must be laid over it, `to` from where on it is whole; they are equal where it needs none.
   */
  covers(range: LogRange): Promise<void>;
  /**
   * Writes entries without bodies, many at once, in the tree's order. Absent where nothing is known of an earlier backup; for
   * what is there, see `Earlier`.
   */
  addBodiless?(entries: readonly BodilessEntry[]): Promise<void>;
}

/** What was captured of the source before, which files may be taken over from. */
export interface Earlier {
  /** A file of it as it was captured last. NOT_FOUND where it has none. */
  read(path: string): AsyncIterable<Uint8Array>;
}
