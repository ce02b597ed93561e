import { setTimeout as delay } from "node:timers/promises";
import type { LogPosition } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import type { SqliteSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, MarkRequest, OpenOptions } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { BaseRecord } from "./base-record.ts";
import { type CapturedDatabase, isWal } from "./captured-database.ts";
import { type Counting, type Counts, startCounting } from "./counting.ts";
import { describeSqlite } from "./describe.ts";
import { type FoundDatabase, findDatabases } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import type { MachineClock } from "./machine-clock.ts";
import type { DatabaseMark, MarkDetail } from "./mark-detail.ts";
import { RECORD_PATH, type SqliteRecord } from "./record.ts";
import { restPlace } from "./rest-place.ts";
import { openRollbackDatabase } from "./rollback-database.ts";
import { LOOK_MOST_MS, positionOf } from "./ship-position.ts";
import { stateOf } from "./ship-source.ts";
import { BASE_PATH, SINCE_DIRECTORY } from "./shipped-files.ts";
import { sourceChanged } from "./source-error.ts";
import { holdWalDatabase, type WalDatabase } from "./wal-database.ts";
import { watch } from "./watch.ts";
import { withoutCounts, withoutTables } from "./without-tables.ts";

export type CaptureLimits = {
  /** A held log that has grown past this is let go in order. */
  walLimitBytes: number;
  watchEveryMs: number;
};

/** What copying inside the fence may take in all, and what counting may add to it. */
const FIX_BUDGET_MS = 1000;
const COUNT_WAIT_MS = 100;
/** How often a moment is looked for at which nothing is committed while every database is pinned. */
const PIN_TRIES = 20;

type Taken = { marks: DatabaseMark[]; fuzzy: string[]; gone: string[]; counts?: Promise<ReadonlyMap<string, Counts>> };

export type CaptureInput = {
  holder: Holder;
  context: DriverContext;
  limits: CaptureLimits;
  /** Absent: a base cannot say where it stands in the source's log. */
  clock?: MachineClock | undefined;
  heldPlace?: OpenOptions["heldPlace"] | undefined;
};

export async function openCapture(
  source: SqliteSource,
  found: readonly FoundDatabase[],
  { holder, context, limits, clock, heldPlace }: CaptureInput,
): Promise<Capture> {
  const { exclude = [] } = source;
  const resources = new AsyncDisposableStack();
  const databases = new Map<string, CapturedDatabase>();
  const hold = async (each: FoundDatabase) => {
    const { mode, pageSize } = await holder.ask("open", { path: each.path });
    const input = { found: each, pageSize, holder, context, index: databases.size, ...limits };
    const whole = resources.use(mode === "wal" ? await holdWalDatabase(input) : openRollbackDatabase(input));
    const database = exclude.length === 0 ? whole : withoutTables(whole, { ...input, tables: exclude });
    databases.set(each.name, database);
    return database;
  };
  const beganMs = clock?.nowMs() ?? 0;
  // So far behind that moment may lie what a shipper has seen before it: all of it is to be in the copies.
  if (clock !== undefined) await delay(LOOK_MOST_MS, undefined, { signal: context.signal });
  const beganAt = context.now();
  try {
    for (const each of found) await hold(each);
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
  const wholeMs = clock?.nowMs() ?? 0;
  const wholeAt = context.now();
  const walDatabases = () => [...databases.values()].filter(isWal);
  const guard = resources.use(
    watch(limits.watchEveryMs, async () => {
      for (const each of walDatabases()) await each.relieve();
    }),
  );
  let rest: LogPosition | undefined;
  try {
    if (clock !== undefined && heldPlace !== undefined && exclude.length === 0)
      rest = await restPlace(walDatabases(), { clock, heldMs: wholeMs, heldPlace, signal: context.signal });
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
  const description = describeSqlite([...databases.values()], { exclude, rests: rest !== undefined });
  /** Names that the base holds, as far as the finish goes on from it. */
  const inBase = new Set<string>(rest === undefined ? [] : walDatabases().map(({ found }) => found.name));
  let counting: Counting | undefined;
  let taken: Taken | undefined;

  const markWal = async (present: readonly WalDatabase[]): Promise<DatabaseMark[]> =>
    await Promise.all(present.map(async (each) => (await each.mark(0)).mark));

  /** Marks at a moment that counting has hold of too; without counts where writers do not let go of it. */
  const markAndPin = async (present: readonly WalDatabase[]): Promise<Pick<Taken, "marks" | "counts">> => {
    let marks = await markWal(present);
    for (let tries = 0; counting !== undefined && tries < PIN_TRIES; tries += 1) {
      await counting.pin(present);
      const after = await markWal(present);
      if (JSON.stringify(after) === JSON.stringify(marks)) return { marks, counts: counting.count(present) };
      marks = after;
    }
    await counting?.unpin(present);
    return { marks };
  };

  const addRecord = async (tree: TreeWriter, path: string, value: unknown) => {
    const content = Buffer.from(JSON.stringify(value));
    const entry = { type: "file", path, size: content.byteLength, hint: "content" } as const;
    await tree.add({ ...entry, mode: 0o600, mtimeMs: context.now() }, once(content));
  };

  return {
    description,
    async base(tree: TreeWriter) {
      guard.check();
      for (const database of databases.values()) {
        await database.copy();
        await database.addCopy(tree);
        inBase.add(database.found.name);
      }
      const logged = walDatabases();
      if (clock === undefined || logged.length === 0) return;
      // With the state, so that a shipper that begins behind this base knows whether the logs go on from it.
      const state = await Promise.all(logged.map(({ found, copied }) => stateOf(found, copied.from)));
      const [from, wholeFrom] = [positionOf(clock, beganMs, state), positionOf(clock, wholeMs)];
      await addRecord(tree, BASE_PATH, {
        databases: logged.map(({ found: { name }, copied }) => ({ name, ...copied })),
        needsFrom: from,
        wholeFrom,
        beganAt,
        at: wholeAt,
      } satisfies BaseRecord);
      await tree.covers({ stream: clock.stream, from: from.at, to: wholeFrom.at });
    },
    async settle() {
      guard.check();
      for (const each of await findDatabases(source.path)) {
        if (!databases.has(each.name)) await (await hold(each)).copy();
      }
      for (const each of databases.values()) {
        // Where there is no base of ours, nothing was copied before.
        if (exclude.length > 0 || !(rest === undefined || inBase.has(each.found.name))) await each.copy();
        await each.settle();
      }
      await counting?.[Symbol.asyncDispose]();
      counting = resources.use(await startCounting(context.signal));
      // Opens the databases there, so that it need not be done inside the fence.
      await counting.pin(walDatabases());
      await counting.unpin(walDatabases());
    },
    async mark(request) {
      guard.check();
      const started = context.monotonicMs();
      const now = new Map((await findDatabases(source.path)).map((each) => [each.name, each]));
      const gone = [...databases.keys()].filter((name) => !now.has(name));
      for (const { found } of databases.values()) {
        const there = now.get(found.name);
        if (there !== undefined && there.identity !== found.identity)
          throw sourceChanged(found.path, "it was replaced");
      }
      const fuzzy = [...now.keys()]
        .filter((name) => !databases.has(name))
        .map((name) => `${name} appeared just before the cut and comes with the next point`);
      const present = [...databases.values()].filter(({ found }) => now.has(found.name));
      const wal = present.filter(isWal);
      const pinned = request.fenced ? await markAndPin(wal) : { marks: await markWal(wal) };
      const marks = [...pinned.marks];
      for (const each of present.filter((database) => !isWal(database))) {
        const spent = context.monotonicMs() - started;
        const result = await each.mark(Math.max(0, Math.min(FIX_BUDGET_MS, request.budgetMs / 2) - spent));
        marks.push(result.mark);
        if (result.fuzzy !== undefined) fuzzy.push(result.fuzzy);
      }
      taken = { ...pinned, marks, fuzzy, gone };
      // Thrown where it is waited for; a mark that is replaced gives its counts up.
      taken.counts?.catch(() => undefined);
      const counts = wal.length === present.length ? await countsInTime(taken.counts, exclude) : undefined;
      const mark = toMark(request, taken, counts);
      if (rest === undefined) return mark;
      const target = { by: "position", at: rest.at, inclusive: true } as const;
      return { ...mark, log: { place: rest, target, at: toInstant(context.now()) } };
    },
    async finish(tree) {
      guard.check();
      if (taken === undefined) throw new TypeError("finish was called before mark");
      const counts = await taken.counts;
      const record: SqliteRecord = { databases: [] };
      for (const { name, mode } of taken.marks) {
        const database = databases.get(name);
        if (database === undefined) throw new TypeError(`unreachable: ${name} was marked`);
        const logPath = rest === undefined ? [] : [`${SINCE_DIRECTORY}/${name}-wal`];
        const { frames } = await database.finish(tree, !inBase.has(name), ...logPath);
        const counted = counts?.get(name);
        const inSource = counted === undefined ? undefined : withoutCounts(counted, exclude);
        const rows = inSource ?? (mode === "rollback" ? await database.countCopy() : undefined);
        record.databases.push({
          name,
          mode,
          frames,
          ...(rows === undefined ? {} : { counts: rows, countedIn: inSource === undefined ? "copy" : "source" }),
        });
      }
      // Of a base that stands it is not known what it holds: what the record does not name is taken away at a restore.
      for (const name of taken.gone) {
        if (rest === undefined && inBase.has(name)) await tree.add({ type: "deleted", path: name });
      }
      await addRecord(tree, RECORD_PATH, record);
    },
    async [Symbol.asyncDispose]() {
      // First the process with the locks: what waits for it then fails, and nothing is waited for.
      await holder[Symbol.asyncDispose]();
      await resources.disposeAsync();
    },
  };
}

async function countsInTime(counts: Taken["counts"], exclude: readonly string[]): Promise<Mark["counts"]> {
  if (counts === undefined) return undefined;
  const stop = new AbortController();
  try {
    const counted = await Promise.race([counts, delay(COUNT_WAIT_MS, undefined, { signal: stop.signal })]);
    if (counted === undefined) return undefined;
    const isOne = counted.size === 1;
    const named = [...counted].flatMap(([name, tables]) =>
      Object.entries(withoutCounts(tables, exclude)).map(
        ([table, rows]) => [isOne ? table : `${name}:${table}`, rows] as const,
      ),
    );
    return Object.fromEntries(named);
  } finally {
    stop.abort();
  }
}

function toMark({ cutId }: MarkRequest, { marks, fuzzy, gone }: Taken, counts: Mark["counts"]): Mark {
  const detail: MarkDetail = { databases: marks };
  const positions = marks.map((each) =>
    each.mode === "wal" ? `${each.name} frame ${each.frame}` : `${each.name} change ${each.counter}`,
  );
  return {
    cutId,
    position: positions.length > 3 ? `${positions.length} databases, ${positions[0]} …` : positions.join(", "),
    detail,
    notes: gone.map((name) => `${name} was deleted during the run`),
    ...(fuzzy.length === 0 ? {} : { fuzzy: fuzzy.join("; ") }),
    ...(counts === undefined ? {} : { counts }),
  };
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
