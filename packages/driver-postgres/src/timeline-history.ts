import type { WalPosition } from "./log-position.ts";
import { formatLsn, parseLsn } from "./lsn.ts";

/** Where each of a timeline's ancestors was left for the next, oldest first. */
export type Ancestry = readonly WalPosition[];

/** Reads a history file: a line for each ancestor, with its number, where it was left, and why. */
export function parseHistory(text: string): Ancestry {
  return text.split("\n").flatMap((line) => {
    const [, timeline, at] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
    return timeline === undefined || at === undefined ? [] : [{ timeline: Number(timeline), at: parseLsn(at) }];
  });
}

/** A history file for a timeline of which no segment is closed yet, so that the server's own is not held. */
export function historyText(ancestry: Ancestry): string {
  return ancestry.map(({ timeline, at }) => `${timeline}\t${formatLsn(at)}\tas it was shipped\n`).join("");
}

/** The timeline that an ancestor was left for. */
export function timelineAfter(ancestry: Ancestry, timeline: number, current: number): number {
  const index = ancestry.findIndex((each) => each.timeline === timeline);
  return ancestry[index + 1]?.timeline ?? current;
}

/** Where the timeline's parent was left for it; undefined for the first. */
export function parentOf(ancestry: Ancestry, timeline: number): WalPosition | undefined {
  const index = ancestry.findIndex((each) => each.timeline === timeline);
  return index === -1 ? ancestry.at(-1) : ancestry[index - 1];
}

/** The timeline of the server's history that a position lies on. */
export function timelineAt(ancestry: Ancestry, at: bigint, current: number): number {
  return ancestry.find((each) => at < each.at)?.timeline ?? current;
}
