import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Alarm } from "./alarm.ts";
import { connect } from "./connection.ts";
import { logPositionOf, type WalPosition } from "./log-position.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { dropSlot, type ServerView, viewServer } from "./ship-slot.ts";
import type { Shipping } from "./ship-wal.ts";
import type { WalFeed } from "./wal-feed.ts";

/** A shipper that says nothing for longer would look dead. */
const MOST_SILENCE_MS = 3_000;

/** A server that shuts down closes our question's connection first and waits for its last WAL to be durable: so long it has. */
const LAST_WAL_MS = 10_000;

/** The server has WAL and sends none for so long: the stream is dead, whatever its connection says of itself. */
const DEAD_AFTER_MS = 60_000;

export type GuardOptions = {
  it: Shipping;
  /** The server's answer when it was asked first, and the timeline that it is on. */
  view: ServerView;
  timeline: number;
  position: () => WalPosition;
  /** Ends the connection that the WAL comes on. */
  letGo: AbortController;
  bell: Alarm;
};

export type Guard = AsyncDisposable & {
  /** The WAL comes from there now. */
  listenTo: (feed: Pick<WalFeed, "received" | "silentMs">) => void;
  /** Tells how far the log is shipped. */
  tell: () => void;
  /** Asked to stop, the shipper goes on up to here: where the server was then. */
  stopAt: () => Lsn | undefined;
  /** Where the server was when a flush was asked for, or when this began. */
  soonAt: () => Lsn;
  /** Why the log cannot go on, or throws what ended it. `gap`: what the error itself says. */
  explain: (gap: string | undefined, error: unknown) => Promise<string>;
};

/**
 * Asks the server where it stands, on a connection of its own: what a stalled stream says of it is what it said last. It
 * gives the slot up where it would fill the server's disk, also while a sink does not answer.
 */
export function openGuard({ it, view, timeline, position, letGo, bell }: GuardOptions): Guard {
  const { options, context, connection, sql, slot } = it;
  const { stop, retainMostBytes, flushMs, flushSoon } = options;
  const ended = new AbortController();
  let flush = view.flush;
  let failure: { error: unknown } | undefined;
  let givenUp: { why: string; dropped: Promise<void> } | undefined;
  let stopAt: Lsn | undefined;
  let soonAt = view.flush;
  let feed: Parameters<Guard["listenTo"]>[0] | undefined;

  const tell = () => {
    const held = position();
    const behind = flush - held.at;
    const lag = behind > 0n ? behind : 0n;
    const server = logPositionOf({ timeline, at: held.at + lag });
    options.progress({ held: logPositionOf(held), server, lagBytes: Number(lag) });
  };
  const drop = async () => {
    letGo.abort();
    await using other = await connect({ ...connection, what: "Cannot drop PostgreSQL's slot", replication: true });
    await dropSlot(other, slot, "wait");
  };
  const judge = ({ slot: kept }: ServerView) => {
    if (givenUp !== undefined || kept?.restart == null) return;
    const retained = Number(flush - kept.restart);
    if (retained <= retainMostBytes) return;
    const why = `the server kept ${retained} bytes of WAL for it, and ${retainMostBytes} are allowed: its slot was dropped`;
    givenUp = { why, dropped: drop() };
    // It is waited for where the stream's end is explained.
    givenUp.dropped.catch(() => undefined);
  };
  const checkAlive = () => {
    if (feed === undefined || flush <= feed.received() || feed.silentMs() < DEAD_AFTER_MS) return;
    letGo.abort();
    throw sql.translate(new Error(`no WAL came for ${DEAD_AFTER_MS} ms, and the server is at ${formatLsn(flush)}`));
  };
  const look = async () => {
    const found = await viewServer(sql, slot);
    flush = found.flush;
    return found;
  };
  const watch = async () => {
    for (let found = view; !ended.signal.aborted; found = await look()) {
      judge(found);
      checkAlive();
      tell();
      await delay(Math.min(flushMs, MOST_SILENCE_MS), undefined, { signal: ended.signal }).catch(() => undefined);
    }
  };
  const onStop = () => {
    void look()
      .catch(() => undefined)
      .then(() => {
        stopAt = flush;
        bell.ring();
      });
  };
  const hearAsks = async () => {
    for (let asked = flushSoon(); ; ) {
      const wakes = AbortSignal.any([asked, ended.signal]);
      if (!wakes.aborted) await once(wakes, "abort");
      if (ended.signal.aborted) return;
      asked = flushSoon();
      await look();
      soonAt = flush;
      bell.ring();
    }
  };
  void hearAsks().catch(() => undefined); // what ends it the watch meets as well, and tells of it
  let patience: NodeJS.Timeout | undefined;
  const watched = watch().catch((error: unknown) => {
    failure = { error };
    patience = setTimeout(() => letGo.abort(), LAST_WAL_MS);
  });
  if (stop.aborted) onStop();
  else stop.addEventListener("abort", onStop);

  return {
    listenTo(from) {
      feed = from;
    },
    tell,
    stopAt: () => stopAt,
    soonAt: () => soonAt,
    async explain(gap, error) {
      if (givenUp !== undefined) {
        await givenUp.dropped;
        context.log("the log was given up", { slot, why: givenUp.why });
        return givenUp.why;
      }
      if (context.signal.aborted || failure === undefined) {
        if (gap === undefined) throw error;
        return gap;
      }
      throw failure.error;
    },
    async [Symbol.asyncDispose]() {
      stop.removeEventListener("abort", onStop);
      ended.abort();
      clearTimeout(patience);
      await watched;
      clearTimeout(patience);
    },
  };
}
