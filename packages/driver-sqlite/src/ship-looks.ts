import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import type { Holder } from "./holder-client.ts";
import { keepCheckpoints } from "./keep-checkpoints.ts";
import type { MachineClock } from "./machine-clock.ts";
import type { ShipLimits } from "./ship-limits.ts";
import { LOOK_MOST_MS, positionOf } from "./ship-position.ts";
import type { ShippedSource } from "./ship-source.ts";
import type { Stretches } from "./ship-stretches.ts";
import type { ShippedDatabase } from "./shipped-database.ts";
import { isSameAddress } from "./wal-address.ts";
import { frameBytes, isEqual } from "./wal-format.ts";
import type { WalIndex } from "./wal-index.ts";

/**
 * A writer that is just saying what it committed may be kept from the processor in the middle of it, on a busy machine for
 * long: to give up then would be to give up the hold, and with it the log.
 */
const LOOK_PATIENCE_MS = 30_000;
/** The same where writers of a log are kept out meanwhile, for the sake of another one's. */
const LOCKED_PATIENCE_MS = 200;
const LOOK_AGAIN_MS = 5;
/**
 * Writers are kept out for at most a part in so many of the time, however slow disk and processor are: a log may get so many
 * times as long as its limit meanwhile, and no longer.
 */
const REST_TIMES = 50;
/** Before they are, it is read and checkpointed until that takes no longer, so often at most. */
const SHORT_ROUND_MS = 10;
const MOST_ROUNDS = 4;
const LONGEST_TIMES = 8;

type Input = {
  shipped: ShippedSource;
  holder: Holder;
  stretches: Stretches;
  context: DriverContext;
  limits: ShipLimits;
  clock: MachineClock;
  options: Pick<ShipOptions, "retainMostBytes">;
};

/** `now`: a position is told also where nothing was committed. */
export type When = "due" | "now";
type Moved = { database: ShippedDatabase; index: WalIndex };
type Seen = { startMs: number; beganAt: number; endedAt: number; indexes: Map<ShippedDatabase, WalIndex> };

/**
 * Looks at all databases at once, reads what they have committed since, and lets the hold of each move on to where it is.
 * A hold may move on only after all up to its own moment was read. Then no frame is lost: while it stands behind the end of
 * a log, the log cannot be restarted; and it stands at the end, where it can, only if all was read and is in the database.
 */
export function startLooking({ shipped, holder, stretches, context, limits, clock, options }: Input) {
  /** When a log is next too long, in frames. */
  const due = new Map<ShippedDatabase, number>();
  /** Until when writers are not kept out again, unless the log is very long. */
  const restsUntil = new Map<ShippedDatabase, number>();
  /** What each hold was moved on at. */
  const rolledAt = new Map<ShippedDatabase, WalIndex>();

  /** When a position was last told, and after how long it is again where nothing happens. At the beginning at once. */
  const told = { at: Number.NEGATIVE_INFINITY, again: limits.quietFirstMs / 2 };

  /** Undefined: somebody is just saying what was committed, or it took too long for one moment. */
  const see = (): Seen | undefined => {
    const startMs = clock.nowMs();
    const beganAt = context.now();
    const indexes = new Map<ShippedDatabase, WalIndex>();
    for (const each of shipped.databases) {
      const index = each.look();
      // A writer is at it: what it commits counts at the next look.
      if (index !== undefined) indexes.set(each, index);
    }
    const isWhole = indexes.size === shipped.databases.length && clock.nowMs() - startMs <= LOOK_MOST_MS;
    return isWhole ? { startMs, beganAt, endedAt: context.now(), indexes } : undefined;
  };
  const seeWithin = async (patienceMs: number): Promise<Seen | undefined> => {
    for (const giveUpMs = context.monotonicMs() + patienceMs; ; ) {
      const seen = see();
      if (seen !== undefined || context.monotonicMs() > giveUpMs) return seen;
      await delay(LOOK_AGAIN_MS, undefined, { signal: context.signal });
    }
  };

  const checkpoints = keepCheckpoints(holder, context.monotonicMs);
  const roll = async (database: ShippedDatabase, index: WalIndex) => {
    const { rolled } = await holder.ask("roll", { path: database.found.path });
    if (rolled) rolledAt.set(database, index);
  };

  /** False: a busy writer, or an agent that may only read: the log grows on, and it is tried again. */
  const asked = async (operation: "checkpoint" | "lock", database: ShippedDatabase) => {
    const { path, name } = database.found;
    try {
      await holder.ask(operation, { path });
      return true;
    } catch (error) {
      if (error instanceof StillpointError && error.code === "SOURCE_LOST") throw error;
      const why = error instanceof Error ? error.message : String(error);
      context.log(`cannot let the log of ${name} be checkpointed`, { why });
      if (operation === "checkpoint") await checkpoints.leave(database);
      return false;
    }
  };

  /** Writers are kept out for as long as it takes to read the rest and to bring it into the database. */
  const relieve = async (database: ShippedDatabase, index: WalIndex) => {
    const { found } = database;
    const limitFrames = Math.ceil(limits.walLimitBytes / frameBytes(database.pageSize));
    due.set(database, index.frames + Math.ceil(limitFrames / 8));
    // What takes long is done before: nearly all that is there is read by then, and in the database. Less is left each time.
    for (let round = 0, tookMs = Number.POSITIVE_INFINITY; round < MOST_ROUNDS && tookMs > SHORT_ROUND_MS; round += 1) {
      const began = context.monotonicMs();
      if (!(await asked("checkpoint", database))) return;
      const before = await seeWithin(LOCKED_PATIENCE_MS);
      if (before === undefined) return;
      await take(before);
      tookMs = context.monotonicMs() - began;
    }
    if (!(await asked("lock", database))) return;
    const started = context.monotonicMs();
    const seen = await seeWithin(LOCKED_PATIENCE_MS);
    // Not all of it can be read just now: it is tried again.
    if (seen === undefined) return void (await holder.ask("unlock", { path: found.path }));
    // Where this fails the shipping ends, and the lock with it: what was not read is not let go.
    await read(seen);
    const { complete } = await holder.ask("turn", { path: found.path });
    if (complete) due.delete(database);
    const lockedMs = Math.round(context.monotonicMs() - started);
    restsUntil.set(database, context.monotonicMs() + lockedMs * REST_TIMES);
    context.log(`let the log of ${found.name} be checkpointed`, { complete, lockedMs });
  };

  /** What was read since the last look that was told. */
  const untold = { databases: new Set<ShippedDatabase>(), sinceMs: 0 };
  let latest: Seen | undefined;

  const tell = async ({ startMs, beganAt, endedAt }: Seen, gone: readonly string[], long: readonly Moved[]) => {
    told.at = context.monotonicMs();
    await stretches.add(async (spool) => {
      for (const database of untold.databases) await database.give(spool);
      for (const { database, index } of long) await database.stream(index, spool);
      // The hold has lasted until now, or what was read is worth nothing.
      for (const { database } of long) await holder.ask("held", { path: database.found.path });
      const position = positionOf(clock, Math.max(startMs, stretches.seenMs + 1), await shipped.state());
      const moved = new Set([...untold.databases, ...long.map(({ database }) => database)]);
      const databases = [...moved].map(({ found: { name }, read }) => ({ name, address: read }));
      return { is: "look", position, beganAt, endedAt, databases, gone: [...gone], bytes: 0 };
    });
    untold.databases.clear();
  };

  /** Reads what was committed since, into memory; what is too long for that is told at once. */
  const read = async (seen: Seen, gone: readonly string[] = []) => {
    const moved: Moved[] = shipped.databases.flatMap((database) => {
      const index = seen.indexes.get(database);
      return index === undefined || isSameAddress(database.read, { salts: [...index.salts], frames: index.frames })
        ? []
        : [{ database, index }];
    });
    if (untold.databases.size === 0) untold.sinceMs = context.monotonicMs();
    const long: Moved[] = [];
    for (const each of moved) {
      const others = collectedBytes() - each.database.collectedBytes;
      if (await each.database.collect(each.index, limits.collectMostBytes - others))
        untold.databases.add(each.database);
      else long.push(each);
    }
    for (const { database } of moved) await holder.ask("held", { path: database.found.path });
    latest = seen;
    if (long.length > 0 || gone.length > 0) await tell(seen, gone, long);
    return { hasMoved: moved.length > 0 };
  };

  /** Reads, and tells it at once where it is little or `when` says so, else with what comes in the time after. */
  const take = async (seen: Seen, gone: readonly string[] = [], when: When = "due") => {
    const { hasMoved } = await read(seen, gone);
    const isQuiet = context.monotonicMs() - told.at >= told.again;
    told.again = hasMoved ? limits.quietFirstMs : isQuiet ? Math.min(told.again * 2, limits.quietMostMs) : told.again;
    const isDue =
      collectedBytes() <= limits.collectLittleBytes || context.monotonicMs() - untold.sinceMs >= limits.collectMs;
    if ((untold.databases.size > 0 && isDue) || isQuiet || when === "now") await tell(seen, [], []);
  };
  const collectedBytes = () => shipped.databases.reduce((sum, each) => sum + each.collectedBytes, 0);

  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = async <Result>(act: () => Promise<Result>): Promise<Result> => {
    const acted = turn.then(act);
    turn = acted.catch(() => undefined);
    return await acted;
  };

  /** False: there was nothing to be seen just now. */
  const look = async (gone: readonly string[], when: When): Promise<boolean> => {
    const seen = see();
    if (seen === undefined) {
      await checkpoints.release();
      return false;
    }
    await take(seen, gone, when);
    for (const database of shipped.databases) {
      const index = seen.indexes.get(database);
      if (index === undefined) continue;
      await checkpoints.seen(database, index);
      const limit = due.get(database) ?? Math.ceil(limits.walLimitBytes / frameBytes(database.pageSize));
      if (index.frames * frameBytes(database.pageSize) > options.retainMostBytes) throw tooLong(database);
      const rests = context.monotonicMs() < (restsUntil.get(database) ?? 0) && index.frames < limit * LONGEST_TIMES;
      if (index.frames >= limit && !rests) {
        await relieve(database, index);
        continue;
      }
      if (index.frames < limit / 2) due.delete(database);
      if (mayMoveOn(index, rolledAt.get(database))) await roll(database, index);
    }
    return true;
  };

  return {
    async look(gone: readonly string[] = [], when: When = "due"): Promise<void> {
      const giveUpMs = context.monotonicMs() + LOOK_PATIENCE_MS;
      // What was read before may be told while this waits.
      while (!(await inTurn(async () => await look(gone, when)))) {
        if (context.monotonicMs() > giveUpMs) throw unreadable();
        await delay(LOOK_AGAIN_MS, undefined, { signal: context.signal });
      }
    },
    /** Tells what was read and not told yet. */
    tell: async () =>
      await inTurn(async () => {
        if (latest !== undefined && untold.databases.size > 0) await tell(latest, [], []);
      }),
  };
}

function mayMoveOn(index: WalIndex, at: WalIndex | undefined): boolean {
  if (at === undefined || index.frames !== at.frames || !isEqual(index.salts, at.salts)) return true;
  // Somebody has checkpointed it all, and may wait to have it emptied.
  return index.frames > 0 && isCheckpointed(index) && !isCheckpointed(at);
}

function isCheckpointed({ frames, backfilled }: WalIndex): boolean {
  return backfilled >= frames;
}

function unreadable(): StillpointError {
  return new StillpointError("SOURCE_LOST", {
    what: "Cannot look at what SQLite databases have committed",
    why: "a writer died in the middle of a commit, or this machine has too much to do",
    hint: "the next write repairs it; it is tried again by itself",
  });
}

function tooLong({ found }: ShippedDatabase): StillpointError {
  return new StillpointError("SOURCE_LOST", {
    what: "Gave up the log of an SQLite database, so that it does not fill the disk",
    where: `${found.path}-wal`,
    why: "it has grown past what the source may keep, and no checkpoint got through",
    hint: "look for a transaction that somebody leaves open",
  });
}
