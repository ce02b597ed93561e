import type { Chunking } from "../format/documents.ts";
import { gearMasks } from "./gear.ts";

/** How a body is cut. `bundle`: small files, several in one chunk. `fixed`: into lengths that nothing in it has a say in. */
export const CUT = { content: 1, bundle: 2, fixed: 3 } as const;
export type Cut = (typeof CUT)[keyof typeof CUT];

/**
 * A run of bytes of one file, as it lies in the stream of all bodies. A bundled file's end is a place where a chunk may end;
 * the others always begin and end a chunk.
 */
export type Piece = {
  cut: Cut;
  length: number;
  begins: boolean;
  ends: boolean;
  /**
   * Where chunks of this file ended in an earlier backup, counted from the piece's start: those within it and the first one
   * beyond. An end that the bytes before it still make one is taken without a look at the rest of its chunk.
   */
  earlier: number[];
};

/** Where the cutter stands between two buffers. */
export type CutterState = {
  /** Bytes of the chunk that is open. */
  open: number;
  cut: Cut;
  hash: number;
  /** In a bundle: a boundary was found in it, and the next end of a file is taken. */
  found: boolean;
  /** In a bundle: files in it, which are bounded too. */
  files: number;
  /** The open chunk was not looked through: it is expected to end where it did before. */
  unseen: boolean;
};

export const CUTTER_START: CutterState = { open: 0, cut: CUT.content, hash: 0, found: false, files: 0, unseen: false };

/** Files in a bundle at most: their entries wait in memory until its chunk is named. */
const BUNDLE_FILES = 4096;

export type Cutter = {
  /** Appends the lengths of the chunks that end within the pieces, which lie one after the other from `at` on. */
  cut(bytes: Uint8Array, at: number, pieces: readonly Piece[], state: CutterState, lengths: number[]): CutterState;
};

export function cutter(chunking: Chunking, table: Uint32Array): Cutter {
  const content = gearMasks(chunking.contentTarget);
  const bundle = gearMasks(chunking.bundleMax / 2).frequent;

  /** The index behind the first byte at which the hash fits the mask, or -1; `rolled` takes the hash at the end. */
  const rolled = new Int32Array(1);
  function search(bytes: Uint8Array, from: number, to: number, mask: number, start: number): number {
    let hash = start;
    let at = from;
    // Two bytes at a time, as in FastCDC of 2020: the second does not wait for the first one's sum.
    for (; at + 1 < to; at += 2) {
      const first = table[bytes[at] as number] as number; // both indexes are in range
      const second = table[bytes[at + 1] as number] as number;
      if ((((hash << 1) + first) & mask) === 0) {
        rolled[0] = 0;
        return at + 1;
      }
      hash = ((hash << 2) + (first << 1) + second) | 0;
      if ((hash & mask) === 0) {
        rolled[0] = 0;
        return at + 2;
      }
    }
    for (; at < to; at++) {
      hash = ((hash << 1) + (table[bytes[at] as number] as number)) | 0; // both indexes are in range
      if ((hash & mask) === 0) {
        rolled[0] = 0;
        return at + 1;
      }
    }
    rolled[0] = hash;
    return -1;
  }

  const { contentMin, contentTarget, contentMax } = chunking;

  /** Whether a chunk from `start` on may end at `end`, by the bytes before it alone. */
  function mayEnd(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length < contentMin || length > contentMax) return false;
    if (length === contentMax) return true;
    const mask = length < contentTarget ? content.rare : content.frequent;
    let hash = 0;
    for (let at = end - 32; at < end; at++) hash = ((hash << 1) + (table[bytes[at] as number] as number)) | 0; // in range
    return (hash & mask) === 0;
  }

  function cutContent(bytes: Uint8Array, from: number, piece: Piece, state: CutterState, lengths: number[]): void {
    const to = from + piece.length;
    let at = from;
    let known = 0;
    while (at < to) {
      const start = at - state.open;
      while (from + (piece.earlier[known] ?? Number.POSITIVE_INFINITY) <= at) known++;
      const earlier = from + (piece.earlier[known] ?? Number.POSITIVE_INFINITY);
      const isFileEnd = piece.ends && earlier === to && earlier - start <= contentMax;
      if (earlier <= to && (isFileEnd || mayEnd(bytes, start, earlier))) {
        state.open = earlier - start;
        at = earlier;
        close(state, lengths);
        continue;
      }
      if (earlier > to && earlier - start <= contentMax && (state.open === 0 || state.unseen)) {
        state.unseen = true;
        state.open += to - at;
        return;
      }
      if (state.unseen) {
        // It is not as it was: its bytes, which lie before these, are looked through after all.
        at = start;
        state.open = 0;
        state.unseen = false;
      }
      // No boundary below the minimum; the hash needs its 32 bytes before that.
      const skip = Math.min(Math.max(contentMin - 32 - state.open, 0), to - at);
      at += skip;
      state.open += skip;
      const limit = state.open < contentTarget ? contentTarget : contentMax;
      const end = Math.min(to, at + limit - state.open);
      const mask = state.open < contentTarget ? content.rare : content.frequent;
      let found = search(bytes, at, end, mask, state.hash);
      state.hash = rolled[0] as number; // one element, written by `search`
      if (found < 0 && state.open + end - at >= contentMax) found = end;
      const next = found < 0 ? end : found;
      state.open += next - at;
      at = next;
      if (found >= 0) close(state, lengths);
    }
  }

  function cutFixed(from: number, to: number, state: CutterState, lengths: number[]): void {
    for (let at = from; at < to; ) {
      const step = Math.min(contentTarget - state.open, to - at);
      state.open += step;
      at += step;
      if (state.open === contentTarget) close(state, lengths);
    }
  }

  function lookInBundle(bytes: Uint8Array, from: number, to: number, state: CutterState): void {
    state.open += to - from;
    if (!state.found) {
      state.found = search(bytes, from, to, bundle, state.hash) >= 0;
      state.hash = rolled[0] as number; // one element, written by `search`
    }
  }

  function close(state: CutterState, lengths: number[]): void {
    if (state.open > 0) lengths.push(state.open);
    state.open = 0;
    state.hash = 0;
    state.found = false;
    state.files = 0;
    state.unseen = false;
  }

  return {
    cut(bytes, at, pieces, before, lengths) {
      const state = { ...before };
      let from = at;
      for (const piece of pieces) {
        const to = from + piece.length;
        const joins = piece.cut === CUT.bundle && state.cut === CUT.bundle;
        if (piece.begins && !joins) close(state, lengths);
        state.cut = piece.cut;
        if (piece.cut === CUT.content) cutContent(bytes, from, piece, state, lengths);
        else if (piece.cut === CUT.fixed) cutFixed(from, to, state, lengths);
        else lookInBundle(bytes, from, to, state);
        if (piece.ends) {
          state.files++;
          const large = state.open >= chunking.bundleMax - chunking.bundleBelow;
          const fits = state.found && state.open >= chunking.bundleMin;
          if (piece.cut !== CUT.bundle || large || fits || state.files >= BUNDLE_FILES) close(state, lengths);
        }
        from = to;
      }
      return state;
    },
  };
}
