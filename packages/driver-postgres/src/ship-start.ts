import type { WalPosition } from "./log-position.ts";
import { formatLsn, type Lsn, segmentStart } from "./lsn.ts";
import { type Ancestry, timelineAfter } from "./timeline-history.ts";

/** What the server says of our slot. `restart`: the WAL from there on is kept for us; null once it is lost. */
export type SlotState = { restart: Lsn | null; status: string | null };

export type ServerLog = { timeline: number; ancestry: Ancestry; flush: Lsn; segmentBytes: number };

export type Start = { from: WalPosition } | { gap: string };

/**
 * Whether the log goes on from what is held. The slot vouches for it: without one that has kept the WAL since, nobody
 * knows whether this is still the same cluster.
 */
export function startFrom(held: WalPosition, slot: SlotState | undefined, server: ServerLog): Start {
  if (slot === undefined)
    return {
      gap: "no replication slot has kept the WAL since: it is gone, or was not made yet, or this is another cluster",
    };
  if (slot.status === "lost" || slot.restart === null) {
    return { gap: "the server has given up the replication slot: more WAL was due than max_slot_wal_keep_size allows" };
  }
  if (segmentStart(slot.restart, server.segmentBytes) > held.at) {
    return { gap: `the replication slot keeps the WAL from ${formatLsn(slot.restart)} on only` };
  }
  return onTimeline(held, server);
}

function onTimeline(held: WalPosition, { timeline, ancestry, flush }: ServerLog): Start {
  if (held.timeline === timeline) {
    return held.at <= flush
      ? { from: held }
      : { gap: `the server has gone back to ${formatLsn(flush)}, before what was shipped of it` };
  }
  const left = ancestry.find((each) => each.timeline === held.timeline);
  if (left === undefined) {
    return { gap: `the server is on timeline ${timeline}, which does not come from timeline ${held.timeline}` };
  }
  if (held.at < left.at) return { from: held };
  // What was shipped after the branch is of a past that the server has left; the log up to the branch is whole.
  return { from: { timeline: timelineAfter(ancestry, left.timeline, timeline), at: left.at } };
}
