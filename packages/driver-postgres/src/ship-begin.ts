import type { LogSink } from "@stillpoint/driver/ship";
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { replicationCommand } from "./copy-stream.ts";
import { logPositionOf, type WalPosition } from "./log-position.ts";
import { segmentStart } from "./lsn.ts";
import { dropSlot, makeSlot, type ServerView, viewServer } from "./ship-slot.ts";
import { type ServerLog, startFrom } from "./ship-start.ts";
import { timelineOf } from "./timeline.ts";
import { parseHistory, timelineAt } from "./timeline-history.ts";

const identity = z.tuple([z.string(), z.coerce.number().int().positive()]).rest(z.unknown());

export type Begun = {
  /** The log goes on here; `isHeld` where everything before it is durable, else it begins with this segment. */
  from: WalPosition;
  isHeld: boolean;
  /** That the server is on. */
  timeline: number;
  view: ServerView;
  gap?: Parameters<LogSink["gap"]>[0];
};

export type BeginOptions = {
  /** Both to the same server: one that speaks SQL, one that speaks replication. */
  sql: Connection;
  replication: Connection;
  slot: string;
  segmentBytes: number;
  held: WalPosition | undefined;
  /** The log cannot go on from what is held: this is known already. */
  gap?: string | undefined;
};

/** Finds where the log goes on, and takes hold of the WAL from there. */
export async function beginShipping(options: BeginOptions): Promise<Begun> {
  const { sql, replication, slot, segmentBytes, held } = options;
  const [, timeline] = identity.parse((await replicationCommand(replication, "IDENTIFY_SYSTEM"))[0]);
  const ancestry = parseHistory((await timelineOf(replication, timeline)).history ?? "");
  const before = await viewServer(sql, slot);
  const server: ServerLog = { timeline, ancestry, flush: before.flush, segmentBytes };
  const start = held === undefined ? undefined : startFrom(held, before.slot, server);
  if (options.gap === undefined && start !== undefined && "from" in start) {
    return { from: start.from, isHeld: true, timeline, view: before };
  }
  const why =
    held === undefined ? undefined : (options.gap ?? (start !== undefined && "gap" in start ? start.gap : ""));
  const isSound = why === undefined && before.slot?.restart != null && before.slot.status !== "lost";
  if (before.slot !== undefined && !isSound) await dropSlot(replication, slot);
  if (!isSound) await makeSlot(replication, sql, slot);
  const view = isSound ? before : await viewServer(sql, slot);
  if (view.slot?.restart == null) throw replication.translate(new Error(`the slot ${slot} keeps no WAL`));
  const at = segmentStart(view.slot.restart, segmentBytes);
  const from = { timeline: timelineAt(ancestry, at, timeline), at };
  if (held === undefined || why === undefined) return { from, isHeld: false, timeline, view };
  return { from, isHeld: false, timeline, view, gap: { after: logPositionOf(held), until: logPositionOf(from), why } };
}
