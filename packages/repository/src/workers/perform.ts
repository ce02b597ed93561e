import { type Cutter, cutter } from "../chunking/cutter.ts";
import { pack } from "../format/codec.ts";
import { packPieceAad } from "../format/pack-piece.ts";
import * as aead from "../keys/aead.ts";
import { findChangedPages } from "./find-changed-pages.ts";
import { findSame } from "./find-same.ts";
import { giveBack } from "./give-back.ts";
import { nameOf, openChunk } from "./open-chunk.ts";
import { readFiles } from "./read-files.ts";
import { readRange } from "./read-range.ts";
import { restoreChunks } from "./restore-chunks.ts";
import type {
  CutResult,
  CutTask,
  NameResult,
  NameTask,
  OpenResult,
  OpenTask,
  PagesResult,
  PagesTask,
  ResultOf,
  SealResult,
  SealTask,
  Task,
  WorkerSetup,
} from "./tasks.ts";

/** A piece that is handed over by itself, without a copy. */
const LARGE = 65_536;

function cut(cutting: Cutter, { slab, carry, at, end, pieces, state, last }: CutTask): CutResult {
  const bytes = new Uint8Array(slab);
  const begin = at - state.open;
  bytes.set(new Uint8Array(carry, 0, state.open), begin);
  const lengths: number[] = [];
  const after = cutting.cut(bytes, at, pieces, state, lengths);
  if (last && after.open > 0) {
    lengths.push(after.open);
    after.open = 0;
    after.unseen = false;
  }
  new Uint8Array(carry).set(bytes.subarray(end - after.open, end));
  return { lengths, state: after };
}

function pages({ nameKeys }: WorkerSetup, task: PagesTask): PagesResult {
  const keys = nameKeys.get(task.epoch);
  if (keys === undefined) throw new Error(`epoch ${task.epoch} is not known`);
  return findChangedPages(keys, task);
}

function name(setup: WorkerSetup, { slab, spans, epoch, type }: NameTask): NameResult {
  const names = new Uint8Array(spans.length * 32);
  spans.forEach(({ start, length }, i) => {
    names.set(nameOf(setup, new Uint8Array(slab, start, length), epoch, type), i * 32);
  });
  return { names };
}

function seal({ compression }: WorkerSetup, { slab, spans, header, key }: SealTask): SealResult {
  const sealed: Uint8Array<ArrayBuffer>[] = [];
  const lengths: number[] = [];
  for (const { start, length, position } of spans) {
    const [prefix, body] = pack(new Uint8Array(slab, start, length), compression);
    const pieces = aead.seal(key, position, packPieceAad(header, position), prefix, body);
    giveBack(body);
    lengths.push(pieces.reduce((sum, piece) => sum + piece.length, 0));
    sealed.push(...pieces.map(owned));
  }
  return { sealed: joined(sealed), lengths };
}

/** Many small pieces make one; a large one stays as it is, uncopied. */
function joined(pieces: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer>[] {
  const result: Uint8Array<ArrayBuffer>[] = [];
  let small: Uint8Array[] = [];
  const flush = () => {
    if (small.length > 0) result.push(new Uint8Array(Buffer.concat(small)));
    small = [];
  };
  for (const piece of pieces) {
    if (piece.length < LARGE) small.push(piece);
    else {
      flush();
      result.push(piece);
    }
  }
  flush();
  return result;
}

/** Memory of its own, which may be handed to another thread. */
function owned(bytes: Buffer<ArrayBufferLike>): Uint8Array<ArrayBuffer> {
  const whole = bytes.buffer;
  if (whole instanceof ArrayBuffer && bytes.byteOffset === 0 && whole.byteLength <= bytes.length + 64)
    return new Uint8Array(whole, 0, bytes.length);
  return Uint8Array.from(bytes);
}

function open(setup: WorkerSetup, task: OpenTask): OpenResult {
  let range: Uint8Array;
  try {
    range = readRange(task.range);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { chunks: task.chunks.map(() => why) };
  }
  return {
    chunks: task.chunks.map((chunk) => {
      const plain = openChunk(setup, task, range, chunk);
      return typeof plain === "string" ? plain : owned(plain);
    }),
  };
}

function handedOver(result: ResultOf<Task>): ArrayBuffer[] {
  if ("sealed" in result) return result.sealed.map(({ buffer }) => buffer);
  if ("chunks" in result)
    return [...new Set(result.chunks.flatMap((chunk) => (typeof chunk === "string" ? [] : [chunk.buffer])))];
  return [];
}

/** The work per byte, in whichever thread it is called; with the memory of its result that may be handed over. */
export function performer(setup: WorkerSetup): (task: Task) => { result: ResultOf<Task>; transfer: ArrayBuffer[] } {
  const cutting = cutter(setup.chunking, setup.gear);
  const perform = (task: Task): ResultOf<Task> => {
    if (task.task === "cut") return cut(cutting, task);
    if (task.task === "name") return name(setup, task);
    if (task.task === "pages") return pages(setup, task);
    if (task.task === "read") return readFiles(task);
    if (task.task === "restore") return restoreChunks(setup, task);
    if (task.task === "same") return findSame(setup, task);
    if (task.task === "seal") return seal(setup, task);
    return open(setup, task);
  };
  return (task) => {
    const result = perform(task);
    return { result, transfer: handedOver(result) };
  };
}
