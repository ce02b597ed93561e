import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogGap, LogRange } from "@stillpoint/contracts/log";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { getDocument } from "../documents-store.ts";
import { type Manifest, manifest } from "../format/documents.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import type { TailHead } from "../format/tail-format.ts";
import type { CondemnedState } from "../garbage/condemned-state.ts";
import { inParallel } from "../replicas/in-parallel.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { recordedGaps } from "./gaps.ts";
import { type LogListing, logListings } from "./log-listings.ts";
import { lately, remembered } from "./remembered.ts";
import { type ReadTail, readTail } from "./tails.ts";

/** Names of sources are unique within a plan only. */
export type SourceOfPlan = { plan: string; source: string };

type Held = { range: LogRange; storedMs: number };
export type HeldFull = Held & { backupId: string; startedAt: string };
/** What a backup added to the repository: new chunks before compression, and as they are stored. */
export type Fresh = { bytes: number; storedBytes: number };
/** A closed stretch: a backup of type `log`. `fresh`: where its manifest says it; those of earlier releases do not. */
export type HeldClosed = Held & { backupId: string; bytes: number; fresh?: Fresh };
export type HeldTail = Held & { id: string; fenceToken: number; bytes: number };

/** What the repository holds of one source's log, and is not about to delete; in no order. */
export type SourceLog = {
  fulls: HeldFull[];
  closed: HeldClosed[];
  tails: HeldTail[];
  gaps: LogGap[];
  /** Names of objects that cannot be read, and may be some of it. */
  damaged: string[];
};

export type ReaderContext = Pick<RepositoryContext, "store" | "ring" | "random" | "monotonicMs"> & {
  condemned: { load(signal?: AbortSignal): Promise<Pick<CondemnedState, "objects">> };
};

/** Most are small, and a remote store's answer takes its time. */
const READS_AT_ONCE = 32;
/** Manifests that may be read from soon: of stretches of a log, whose trees are short. */
const MOST_MANIFESTS = 2_000;
const LONGEST_TREE = 16;
/** Tails whose heads were looked at may be asked for soon. */
const MOST_TAIL_BYTES = 8 * 1024 * 1024;
/** Tails stored here that somebody may wait for. */
const MOST_STORED = 20_000;

type HeadOf = (id: string) => Promise<TailHead | undefined>;

export type DescribedBackup = Pick<BackupFigures, "plan" | "source" | "type" | "startedAt" | "finishedAt" | "bytes"> & {
  fresh?: Fresh;
  log?: LogRange;
};

/** Of a tail's name, which holds all of its head but the plan; `undefined` for another form. */
function placesOf(id: string): { stream: string; from: string; to: string } | undefined {
  const [, stream, name = ""] = id.split("/");
  const [from, to, token] = name.split("-");
  const isOurs = stream !== undefined && from !== undefined && to !== undefined && token !== undefined;
  return isOurs ? { stream, from, to } : undefined;
}

/** Joins what overlaps and what touches, of one stream each; in order. */
export function joinedRanges(ranges: readonly Pick<LogRange, "stream" | "from" | "to">[]) {
  const joined = new Map<string, { from: string; to: string }[]>();
  for (const { stream, from, to } of ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const before = joined.get(stream) ?? [];
    joined.set(stream, before);
    const last = before.at(-1);
    if (last === undefined || from > last.to) before.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return joined;
}
export type JoinedRanges = ReturnType<typeof joinedRanges>;

export function isWithinJoined(joined: JoinedRanges, { stream, from, to }: Pick<LogRange, "stream" | "from" | "to">) {
  return joined.get(stream)?.some((each) => each.from <= from && to <= each.to) ?? false;
}

export function overlapsJoined(joined: JoinedRanges, { stream, from, to }: Pick<LogRange, "stream" | "from" | "to">) {
  return joined.get(stream)?.some((each) => each.from < to && from < each.to) ?? false;
}

/** Reads what a repository holds of logs. Manifests and heads of tails are read once, as far as memory is to go. */
export function logReader() {
  const figures = remembered<DescribedBackup>();
  const heads = remembered<TailHead>();
  /** Of tails that were stored here; all the same they are read by who judges what is held. */
  const stored = lately<TailHead>(MOST_STORED, () => 1);
  const gaps = recordedGaps();
  const listings = logListings();
  const manifests = lately<Manifest>(MOST_MANIFESTS, () => 1);
  const lateTails = lately<ReadTail>(MOST_TAIL_BYTES, ({ bytes }) => bytes.length);

  /** Undefined: the backup is not there. */
  function describe(context: ReaderContext, backupId: string, signal?: AbortSignal) {
    return figures(backupId, async () => {
      const found = await getDocument(context, "backups", backupId, manifest, signal);
      if (found === undefined) return undefined;
      const { plan, source, type, startedAt, finishedAt, bytes, newBytes, storedBytes, log } = found.document.figures;
      if (type === "log" && found.document.tree.length <= LONGEST_TREE) manifests.set(backupId, found.document);
      return {
        ...{ plan, source, type, startedAt, finishedAt, bytes },
        ...(newBytes === undefined ? {} : { fresh: { bytes: newBytes, storedBytes } }),
        ...(log === undefined ? {} : { log }),
      };
    });
  }

  /** Undefined: the tail is not there. */
  function headOf(context: Pick<ReaderContext, "store" | "ring">, id: string, signal?: AbortSignal) {
    return heads(id, async () => {
      const tail = await readTail(context, id, signal);
      if (tail !== undefined) lateTails.set(id, tail);
      return tail?.head;
    });
  }

  /** Calls with some at once; damage is noted by the object's name, and passed over. */
  async function each<Item>(items: readonly Item[], damaged: string[], read: (item: Item) => Promise<void>) {
    await inParallel(items, READS_AT_ONCE, (item) =>
      read(item).catch((error: unknown) => {
        if (!(error instanceof StillpointError) || error.code !== "OBJECT_DAMAGED") throw error;
        damaged.push(error.where ?? error.what);
      }),
    );
  }

  async function whole(context: ReaderContext, of: SourceOfPlan, signal?: AbortSignal): Promise<SourceLog> {
    const head: HeadOf = (id) => headOf(context, id, signal);
    return await interpreted(context, of, await listings.whole(context, of, signal), head, signal);
  }

  async function growth(context: ReaderContext, of: SourceOfPlan, signal?: AbortSignal): Promise<SourceLog> {
    const head: HeadOf = async (id) => stored.get(id) ?? (await headOf(context, id, signal));
    return await interpreted(context, of, await listings.growth(context, of, signal), head, signal);
  }

  async function interpreted(
    context: ReaderContext,
    of: SourceOfPlan,
    { tails, backups }: LogListing,
    headOf: HeadOf,
    signal?: AbortSignal,
  ): Promise<SourceLog> {
    const log: SourceLog = { fulls: [], closed: [], tails: [], gaps: [], damaged: [] };
    const isOf = (other: SourceOfPlan) => other.plan === of.plan && other.source === of.source;
    // Gaps last: of what goes on behind one, all is listed by now.
    const recorded = gaps.read(context, signal);
    recorded.catch(() => undefined); // thrown where it is awaited
    await each(backups, log.damaged, async ({ backupId, storedMs }) => {
      const found = await describe(context, backupId, signal);
      if (found?.log === undefined || !isOf(found)) return;
      const { startedAt, bytes, fresh } = found;
      const held = { backupId, range: found.log, storedMs };
      if (found.type === "full") log.fulls.push({ ...held, startedAt });
      else if (found.type === "log") log.closed.push({ ...held, bytes, ...(fresh === undefined ? {} : { fresh }) });
    });

    // What a closed stretch holds as a whole is never read from tails, whoever's they are: their heads need no look.
    const closed = joinedRanges(log.closed.map(({ range }) => range));
    const open = tails.filter(({ id }) => {
      const places = placesOf(id);
      return places === undefined || !isWithinJoined(closed, places);
    });
    await each(open, log.damaged, async ({ id, storedMs, bytes }) => {
      const head = await headOf(id);
      if (head === undefined || !isOf(head)) return;
      const { stream, from, to, after, fenceToken } = head;
      const range = { stream, from, to, ...(after === undefined ? {} : { after }) };
      log.tails.push({ id, range, fenceToken, storedMs, bytes });
    });
    for (const gap of await recorded) if (isOf(gap)) log.gaps.push(gap);
    return log;
  }

  return {
    /** All that is held. */
    read: whole,
    /** The same for who asks again and again: what was listed as a whole lately, and what came behind it since. */
    readGrowth: growth,
    /** A tail that was stored here need not be read to know what it is. */
    stored: (head: TailHead) => stored.set(OBJECT_IDS.tail(head), head),
    describe,
    headOf,
    manifestOf: manifests.get,
    takeTail: lateTails.take,
  };
}
export type LogReader = ReturnType<typeof logReader>;
