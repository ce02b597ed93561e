import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import type { SqliteSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import { startHolder } from "./holder-client.ts";
import type { MachineClock } from "./machine-clock.ts";
import type { ShipLimits } from "./ship-limits.ts";
import { startLooking, type When } from "./ship-looks.ts";
import { digestOf, partsOf, positionOf } from "./ship-position.ts";
import { openShippedSource, type ShippedSource } from "./ship-source.ts";
import { startStretches } from "./ship-stretches.ts";
import { sourceVanished } from "./source-error.ts";

/** Follows the logs of a source's databases, and gives them to the sink as one. See `ship-position.ts` for what it counts by. */
export async function shipSqlite(
  source: SqliteSource,
  options: ShipOptions,
  { context, limits, clock }: { context: DriverContext; limits: ShipLimits; clock: MachineClock },
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const ended = new AbortController();
  resources.defer(() => ended.abort());
  const signal = AbortSignal.any([context.signal, ended.signal]);
  // Ends the process with the locks first; see `openCapture`.
  const holder = await startHolder(signal);
  const shipped = await openShippedSource(source.path, holder, context);
  resources.use(shipped);
  resources.use(holder);

  await shipped.find();
  if (shipped.databases.length === 0) {
    // What is damaged, encrypted, or no database at all, says so itself.
    for (const { path } of shipped.without) await holder.ask("open", { path });
    throw nothingToShip(source);
  }
  const begins = await beginning(shipped, options, clock);
  if (begins.gap !== undefined) await options.sink.gap(begins.gap);
  const stretches = resources.use(
    await startStretches({ options, context, limits, from: begins.from, ...(begins.after && { after: begins.after }) }),
  );
  const looking = startLooking({ shipped, holder, stretches, context, limits, clock, options });

  let found = clock.nowMs();
  const look = async (): Promise<void> => {
    if (stretches.aheadBytes > limits.aheadMostBytes) return;
    await looking.look();
    if (clock.nowMs() - found < limits.findEveryMs) return;
    found = clock.nowMs();
    await looking.tell();
    const { gone, isNew } = await shipped.find();
    if (gone.length > 0 || isNew) await looking.look(gone);
    if (isNew) {
      await looking.tell();
      // What a database holds that was not followed from its first byte on is in no log.
      const after = stretches.seen;
      const until = positionOf(clock, Math.max(clock.nowMs(), stretches.seenMs + 1), await shipped.state());
      await stretches.breakAt(until);
      await options.sink.gap({ after, until, why: "a database appeared, or was replaced, that no base holds" });
    }
    if (shipped.databases.length === 0) {
      await flush();
      throw sourceVanished(source.path);
    }
  };
  /** `now`: somebody waits for a position behind all that is committed. */
  const flush = async (when: When = "due"): Promise<void> => {
    if (when === "now" && stretches.aheadBytes <= limits.aheadMostBytes) await looking.look([], when);
    await looking.tell();
    await stretches.flush();
    options.progress({ held: stretches.held, server: stretches.seen, lagBytes: stretches.aheadBytes });
  };

  const failed = new AbortController();
  const until = AbortSignal.any([options.stop, failed.signal, signal]);
  const repeat = async (everyMs: number, act: (when: When) => Promise<void>, soon = () => until) => {
    try {
      for (let when: When = "now"; !until.aborted; ) {
        const asked = soon();
        await act(when);
        const wakes = AbortSignal.any([until, asked]);
        await delay(everyMs, undefined, { signal: wakes }).catch(onlyAborted(wakes));
        when = asked.aborted ? "now" : "due";
      }
    } finally {
      failed.abort();
    }
  };
  const lookEveryMs = Math.max(Math.min(limits.lookEveryMs, options.flushMs / 2), shipped.databases.length / 2);
  const results = await Promise.allSettled([
    repeat(lookEveryMs, look),
    repeat(Math.max(lookEveryMs, options.flushMs - lookEveryMs), flush, options.flushSoon),
  ]);
  context.signal.throwIfAborted();
  for (const result of results) if (result.status === "rejected") throw result.reason;
  await looking.look();
  await flush();
}

type Beginning = {
  from: LogPosition;
  after?: LogPosition;
  gap?: { after?: LogPosition; until: LogPosition; why: string };
};

/** Whether the logs go on from where the sink ends, and with which position the next stretch begins. */
async function beginning(shipped: ShippedSource, { from }: ShipOptions, clock: MachineClock): Promise<Beginning> {
  const nowMs = clock.nowMs();
  if (from === undefined) return { from: positionOf(clock, nowMs, await shipped.state()) };
  const held = partsOf(from);
  if (held !== undefined && from.stream === clock.stream && held.ms > nowMs) {
    throw new StillpointError("SOURCE_CHANGED", {
      what: "Cannot ship the log of SQLite databases",
      why: "the machine was set back to an earlier moment without being started anew, so its clock says again what it has said",
      hint: "restart the machine: its logs then go on under a new name",
    });
  }
  const state = await shipped.state();
  const frames = state.reduce((sum, { address }) => sum + address.frames, 0);
  let why: string | undefined;
  if (held?.digest !== digestOf(state)) {
    why = "a log was restarted, or a database came or went, while nobody held them";
  } else if (held.frames !== frames) {
    // Of several logs only the sum is known: all of their frames are given again, which a restore takes once.
    for (const each of shipped.databases) {
      if (!(await each.resumeAt(shipped.databases.length === 1 ? held.frames : 0))) why = "a log has lost frames";
    }
    if (frames < held.frames) why = "a log has lost frames";
  }
  const position = positionOf(clock, nowMs, state);
  if (why !== undefined) {
    const gap = { after: from, until: position, why };
    return { from: position, gap, ...(from.stream === clock.stream ? {} : { after: from }) };
  }
  return from.stream === clock.stream ? { from } : { from: position, after: from };
}

function nothingToShip({ path }: SqliteSource): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot ship the log of an SQLite database",
    where: path,
    why: "no database in WAL mode is there, and others have no log",
    hint: "PRAGMA journal_mode=WAL; or, in the plan, ship: off",
  });
}

function onlyAborted(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
