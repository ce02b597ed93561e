import { setTimeout as delay } from "node:timers/promises";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import { notShown } from "./log-follower.ts";
import { readLogRun } from "./log-run.ts";
import { type LogPlace, logStream, tokenOf } from "./log-token.ts";
import { LegBroken, openLeg, type ShipLeg } from "./ship-leg.ts";
import { type ShipStart, shipRestart, shipStart } from "./ship-start.ts";
import { openSystemLog } from "./system-log.ts";

/** How often progress is told while nothing is flushed. */
const TELL_EVERY_MS = 3_000;
/** A commit is in the log before it is acknowledged: what is not there by then is in another directory. */
const SHOWS_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 5;
/** Who makes users without a pause must not keep the log from being shipped: they come whole with the next closed file. */
const MOST_LOOKS = 20;

export type ShippedLog = {
  /** The directory of the database's log, and of its like in a tree. */
  logs: string;
  treeDirectory: string;
  /** The directory of the system database's log. */
  systemLogs: string;
  /** The files of both databases that are made once. */
  neostores: readonly string[];
  /** The last transaction that the server has committed. */
  committed: () => Promise<number>;
};

type Context = Pick<DriverContext, "signal" | "monotonicMs" | "log">;

/** Ships one database's log until it is told to stop, over whatever gaps it has. */
export async function shipLog(source: ShippedLog, options: ShipOptions, context: Context): Promise<void> {
  const { logs, treeDirectory, systemLogs } = source;
  const { sink } = options;
  const run = await readLogRun(logs);
  let stream = await logStream(logs, run.first, source.neostores);
  let start = shipStart(stream, run, options.from);
  for (;;) {
    if (start.gap !== undefined) await sink.gap(start.gap);
    const { begin } = start;
    let leg: ShipLeg | undefined;
    const system = openSystemLog(systemLogs, context.signal, (why) => context.log(why));
    try {
      leg = await openLeg({ logs, treeDirectory, stream, system }, begin, sink, context.signal);
      return await shipLeg(leg, source, options, context);
    } catch (error) {
      if (!(error instanceof LegBroken)) throw error;
      const held = leg?.held ?? begin;
      const advanced = begin.offset > 0 || held.logVersion !== begin.logVersion || held.offset !== begin.offset;
      const next = await afterBreak(source, stream, {
        held,
        reading: leg?.reading ?? begin.logVersion,
        why: error.why,
        advanced,
      });
      if (next === undefined) throw error.cause;
      ({ stream, start } = next);
      context.log("the log is shipped from behind a gap", { why: error.why });
    }
  }
}

/** Where to go on in what is there now; a store that was replaced meanwhile has another stream. */
async function afterBreak(
  source: ShippedLog,
  stream: string,
  broken: { held: LogPlace; reading: number; why: string; advanced: boolean },
): Promise<{ stream: string; start: ShipStart } | undefined> {
  const run = await readLogRun(source.logs);
  const now = await logStream(source.logs, run.first, source.neostores);
  if (now !== stream) return { stream: now, start: shipStart(now, run, { stream, at: tokenOf(broken.held) }) };
  const start = shipRestart(stream, run, broken);
  return start === undefined ? undefined : { stream, start };
}

async function shipLeg(leg: ShipLeg, source: ShippedLog, options: ShipOptions, context: Context): Promise<void> {
  const { progress, stop, flushSoon } = options;
  for (;;) {
    context.signal.throwIfAborted();
    const last = stop.aborted;
    const asked = flushSoon();
    // Asked before the log is read, so that it must show the answer. Of a server that is gone, what it wrote is taken first.
    const committed = source.committed();
    const txId = await committed.catch(() => 0); // thrown below
    const broken = await lookAtBoth(leg, txId, context);
    await leg.flush();
    progress(leg.progress());
    if (broken !== undefined) throw broken;
    if (leg.seen.txId < (await committed)) throw notShown(source.logs, txId);
    if (last) return;
    await sleep(leg, options, asked, context);
  }
}

/**
 * Looks while users and rights stand still, so that what a place says of them is neither older than the rest of it, which a
 * mark would miss, nor newer, which a base in between would. They seldom move: who sees them move looks once more.
 */
async function lookAtBoth(leg: ShipLeg, txId: number, context: Context): Promise<LegBroken | undefined> {
  let before = await leg.lookAtSystem();
  for (let looks = 1; ; looks += 1) {
    const broken = await lookUntil(leg, txId, context);
    const after = await leg.lookAtSystem();
    const stood = before.logVersion === after.logVersion && before.offset === after.offset;
    if (stood || broken !== undefined || looks === MOST_LOOKS) return broken;
    before = after;
  }
}

/** Looks until the log shows the transaction, but not for long. */
async function lookUntil(leg: ShipLeg, txId: number, context: Context): Promise<LegBroken | undefined> {
  const deadline = context.monotonicMs() + SHOWS_WITHIN_MS;
  for (;;) {
    const broken = await leg.look();
    if (broken !== undefined || leg.seen.txId >= txId || context.monotonicMs() >= deadline) return broken;
    await delay(LOOK_EVERY_MS, undefined, { signal: context.signal });
  }
}

/** Until the next flush is due, or asked for; progress is told meanwhile. */
async function sleep(
  leg: ShipLeg,
  { flushMs, stop, progress }: ShipOptions,
  asked: AbortSignal,
  context: Context,
): Promise<void> {
  const due = context.monotonicMs() + flushMs;
  const ends = AbortSignal.any([stop, asked, context.signal]);
  for (;;) {
    const left = due - context.monotonicMs();
    if (left <= 0 || ends.aborted) return;
    await delay(Math.min(left, TELL_EVERY_MS), undefined, { signal: ends }).catch(() => undefined); // woken: seen above
    if (left <= TELL_EVERY_MS || ends.aborted) return;
    if ((await leg.look()) !== undefined) return; // the next flush sees it as well, and takes what is before it
    progress(leg.progress());
  }
}
