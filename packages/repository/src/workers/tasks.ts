import type { FileDress } from "@stillpoint/driver/directory-tree";
import type { CutterState, Piece } from "../chunking/cutter.ts";
import type { NameKeys } from "../format/chunk-name.ts";
import type { ChunkType } from "../format/chunk-type.ts";
import type { Compression } from "../format/codec.ts";
import type { Chunking } from "../format/documents.ts";

/** What a worker knows from its start. */
export type WorkerSetup = {
  chunking: Chunking;
  gear: Uint32Array;
  compression: Compression;
  /** Keys that name chunks, for each epoch. */
  nameKeys: ReadonlyMap<number, NameKeys>;
};

export type Span = { start: number; length: number };

/**
 * `cut`: finds chunk ends in a slab. The open chunk's bytes are taken over from `carry`, laid before `at`, and what is open
 * in the end is left there again.
 */
export type CutTask = {
  task: "cut";
  slab: SharedArrayBuffer;
  carry: SharedArrayBuffer;
  at: number;
  end: number;
  pieces: readonly Piece[];
  state: CutterState;
  /** No bytes follow: what is open is a chunk. */
  last: boolean;
};
export type CutResult = { lengths: number[]; state: CutterState };

export type NameTask = {
  task: "name";
  slab: SharedArrayBuffer;
  spans: readonly Span[];
  epoch: number;
  type: ChunkType;
};
/** One name after the other. */
export type NameResult = { names: Uint8Array<ArrayBuffer> };

export type SealTask = {
  task: "seal";
  slab: SharedArrayBuffer;
  spans: readonly (Span & { position: number })[];
  header: Uint8Array;
  key: Uint8Array;
};
/** One sealed chunk after the other, in pieces that need not be the chunks. */
export type SealResult = { sealed: Uint8Array<ArrayBuffer>[]; lengths: number[] };

/** A range of a pack: its bytes, or where to read them. */
export type PackRange = Uint8Array | { path: string; offset: number; length: number };

export type OpenTask = {
  task: "open";
  range: PackRange;
  chunks: readonly (Span & { position: number; name: Uint8Array; type: ChunkType })[];
  header: Uint8Array;
  key: Uint8Array;
  epoch: number;
};
/** The plain bytes of each chunk, or why it is damaged. */
export type OpenResult = { chunks: (Uint8Array<ArrayBuffer> | string)[] };

/**
 * `pages`: finds which pages of a group changed, and names what is to be stored of it: its blocks, or a chunk of the pages that
 * changed.
 */
export type PagesTask = {
  task: "pages";
  slab: SharedArrayBuffer;
  start: number;
  length: number;
  type: ChunkType;
  pageBytes: number;
  blockBytes: number;
  epoch: number;
  /** The hashes of these pages as they were, SHORT_HASH_LENGTH bytes each; zeros where a page was not there. */
  before?: Uint8Array;
  /** Bytes of changed pages at most; past them the blocks are stored whole. */
  deltaMost?: number;
};
export type PagesResult = {
  /** SHORT_HASH_LENGTH bytes for each page. */
  hashes: Uint8Array<ArrayBuffer>;
  /** Numbers of the pages that changed, in order; absent where the blocks are to be stored whole. */
  changed?: Uint32Array<ArrayBuffer>;
  /** Names of the blocks, or of `delta`. */
  names: Uint8Array<ArrayBuffer>;
  /** The changed pages, one after the other; absent where none changed. */
  delta?: SharedArrayBuffer;
};

/** `read`: fills a slab from files. */
export type ReadTask = { task: "read"; slab: SharedArrayBuffer; reads: readonly FileRead[] };
/** `length` bytes of a file from `offset` on, which are to lie at `at`. */
export type FileRead = { path: string; offset: number; length: number; at: number };
/** Paths of files that ended too early; zeros stand in for what they lacked. */
export type ReadResult = { short: string[] };

/** `restore`: opens chunks and writes what files need of them. */
export type RestoreTask = {
  task: "restore";
  range: PackRange;
  chunks: readonly (OpenTask["chunks"][number] & { pieces: readonly RestorePiece[] })[];
  header: Uint8Array;
  key: Uint8Array;
  epoch: number;
  /** What a file holds already is compared, and written only where it differs. */
  compare: boolean;
};
/** A piece of a chunk's plain bytes: into an open file, or all of a file that is to be made. */
export type RestorePiece = { offset: number; length: number } & (
  | { fd: number; at: number; path: string; sparse?: true }
  | { file: FileDress }
);
export type RestoreResult = {
  /** Why the range or a chunk of it is not what was stored. */
  damage?: string;
  /** A file that could not be written. */
  failure?: { path: string; code: string; message: string };
  writtenBytes: number;
};

/** `same`: which stretches of open files are the plain bytes of these chunks already. */
export type SameTask = {
  task: "same";
  stretches: readonly { fd: number; at: number; length: number; name: Uint8Array; type: ChunkType }[];
  epoch: number;
};
export type SameResult = { same: boolean[] };

export type Task = CutTask | NameTask | PagesTask | ReadTask | RestoreTask | SameTask | SealTask | OpenTask;
export type ResultOf<T extends Task> = T extends CutTask
  ? CutResult
  : T extends NameTask
    ? NameResult
    : T extends PagesTask
      ? PagesResult
      : T extends ReadTask
        ? ReadResult
        : T extends RestoreTask
          ? RestoreResult
          : T extends SameTask
            ? SameResult
            : T extends SealTask
              ? SealResult
              : OpenResult;

export type Request = { id: number; task: Task };
export type Reply = {
  id: number;
  wallMs: number;
  /** Of the thread since it started: the system counts too coarsely for a single task. */
  threadCpuMs: number;
} & ({ result: ResultOf<Task> } | { failed: string });
