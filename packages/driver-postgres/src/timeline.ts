import { z } from "zod";
import type { Connection } from "./connection.ts";
import { replicationCommand } from "./copy-stream.ts";
import type { WalPosition } from "./log-position.ts";
import { historyName } from "./lsn.ts";
import { parentOf, parseHistory } from "./timeline-history.ts";

export type Timeline = {
  timeline: number;
  /** Where its parent was left for it, and its history file; the first has neither. */
  parent?: WalPosition | undefined;
  history?: string;
};

const history = z.tuple([z.string(), z.string()]);

/** A timeline with its past, as the server tells it. */
export async function timelineOf(replication: Connection, timeline: number): Promise<Timeline> {
  if (timeline === 1) return { timeline };
  const [name, text] = history.parse((await replicationCommand(replication, `TIMELINE_HISTORY ${timeline}`))[0]);
  if (name !== historyName(timeline)) throw new TypeError(`the server answered with ${name}`);
  return { timeline, history: text, parent: parentOf(parseHistory(text), timeline) };
}
