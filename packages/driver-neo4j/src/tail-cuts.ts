import { LOG_HEADER_BYTES } from "./log-header.ts";
import type { LogPosition } from "./log-position.ts";
import type { LogByte } from "./log-token.ts";

/** No tail holds more: a longer stretch becomes several, each of whole transactions where these are not longer than that. */
export const MOST_TAIL_BYTES = 4 * 1024 * 1024;

/** Remembers the commits at which tails may end: as few of them as keep tails small. */
export interface TailCuts {
  passed(commit: LogPosition): void;
  /** The ends of the tails from `held` to `end`, in its file; they are forgotten then. */
  take(held: LogByte, end: LogPosition): number[];
  /**
   * Whether shipping began where a tail could have ended. Else another log stands there now than the one whose tails the
   * sink holds, such as after a disk's snapshot was put back.
   */
  beginsWhole(): boolean;
}

export function createTailCuts(begin: LogByte, most = MOST_TAIL_BYTES): TailCuts {
  let before = LOG_HEADER_BYTES;
  let behind: number | undefined;
  let logVersion = begin.logVersion;
  let start = begin.offset;
  let cuts: number[] = [];
  return {
    passed(commit) {
      if (commit.logVersion === begin.logVersion) {
        if (commit.offset <= begin.offset) {
          before = commit.offset;
          return;
        }
        behind ??= commit.offset;
      }
      if (commit.logVersion !== logVersion) {
        ({ logVersion } = commit);
        start = 0;
        cuts = [];
      }
      // The last one is not needed where this one can end its tail as well.
      if (cuts.length > 0 && commit.offset - (cuts.at(-2) ?? start) <= most) cuts.pop();
      cuts.push(commit.offset);
    },
    take(held, end) {
      const wanted = end.logVersion === logVersion ? cuts : [];
      const pieces: number[] = [];
      let at = held.offset;
      for (const cut of [...wanted, end.offset]) {
        if (cut <= at) continue;
        // One transaction that is longer than a tail: its parts need not end anywhere.
        for (; cut - at > most; pieces.push(at)) at += most;
        pieces.push(cut);
        at = cut;
      }
      cuts = [];
      logVersion = end.logVersion;
      start = end.offset;
      return pieces;
    },
    beginsWhole() {
      if (begin.offset === before || begin.offset === 0) return true;
      return behind !== undefined && behind - before > most;
    },
  };
}
