import type { Alarm } from "./alarm.ts";
import { fullInMs } from "./fetch-pace.ts";
import type { WalPosition } from "./log-position.ts";
import { type Lsn, segmentStart } from "./lsn.ts";
import type { TimelineShipper } from "./ship-timeline.ts";
import type { WalFeed } from "./wal-feed.ts";

export type Following = {
  /** Has the server send its WAL from there on, when the feed before it is closed. */
  openFeed: (at: Lsn) => WalFeed;
  shipper: TimelineShipper;
  /** Rings when a flush is due, when one is asked for, and when it is asked to stop. */
  alarm: Alarm;
  flushMs: number;
  segmentBytes: number;
  /** Once it is asked to stop: up to where it still ships. */
  stopAt: () => Lsn | undefined;
  /** Somebody waits for what comes before there. */
  soonAt: () => Lsn;
  monotonicMs: () => number;
};

/** `undefined`: the server ended its side, and does not say that it went on with another timeline. */
export type Followed = "stopped" | WalPosition | undefined;

/**
 * A server sends its WAL commit by commit to one who listens. At thousands a second that takes more of the server's processors
 * than the bytes do: one that writes more than this is only looked at now and then.
 */
const BUSY_BYTES_PER_MS = 131.072;

/** Where the log stood, and when. */
type Look = { at: Lsn; ms: number };

/** In bytes per ms. */
function writtenSince(before: Look | undefined, now: Look): number {
  return before === undefined ? 0 : Number(now.at - before.at) / Math.max(1, now.ms - before.ms);
}

/** However seldom is flushed: a server may drop slots that nobody read from for a minute (idle_replication_slot_timeout). */
const MOST_ALONE_MS = 30_000;

/**
 * Ships what comes until it is told to stop or the server ends its side. One that writes little is listened to all the time, so
 * that it waits for us when it shuts down; from a busy one the WAL is fetched when its segment is full and when a flush is due.
 */
export async function followTimeline(following: Following): Promise<Followed> {
  const { openFeed, shipper, alarm, flushMs, segmentBytes, stopAt, soonAt, monotonicMs } = following;
  const withinMs = Math.min(flushMs, MOST_ALONE_MS);
  let ringing = alarm.rung();
  /** The last look of which all is durable. Nothing before the first time: what comes until then was written before. */
  let flushed: Look | undefined;
  let looked: Look | undefined;
  const isBusy = () => writtenSince(flushed, { at: shipper.received(), ms: monotonicMs() }) > BUSY_BYTES_PER_MS;
  const dueInMs = () => (flushed === undefined ? 0 : Math.max(0, flushed.ms + withinMs - monotonicMs()));
  let given: Lsn = 0n;
  const isAsked = () => soonAt() > given;
  const hasAsked = () => shipper.received() >= soonAt();
  const give = async () => {
    if (hasAsked()) given = soonAt();
    await shipper.flush();
  };
  const flush = async () => {
    flushed = { at: shipper.received(), ms: monotonicMs() };
    await give();
  };
  const isAtEnd = () => {
    const end = stopAt();
    return end !== undefined && shipper.received() >= end;
  };
  for (let isFetching = false; ; ) {
    const feed = openFeed(shipper.received());
    const next = () => {
      const event = feed.events.next();
      // It is looked at below, but it may fail while a flush is waited for.
      event.catch(() => undefined);
      return event;
    };
    let isNewest = false;
    // What was left open waits no longer if nothing more comes.
    if (isAsked() && hasAsked()) await give();
    if (flushed !== undefined && flushed.at < shipper.received()) alarm.ringIn(dueInMs());
    for (let arriving = next(); !(isFetching && isNewest && hasAsked()) && !isAtEnd(); ) {
      const happened = await Promise.race([ringing, arriving]);
      if (happened === "rung") {
        ringing = alarm.rung();
        // How much is written is told by the flushes that are due: between two of them there may be no time.
        if (isAsked()) await give();
        else {
          isFetching = isBusy();
          if (!isFetching || !isNewest) await flush();
        }
      } else if (happened.done) {
        await shipper.end();
        return feed.following();
      } else {
        if (happened.value.type === "ping") {
          await flush();
          isFetching = false;
        } else {
          if (!isFetching) alarm.ringIn(flushMs);
          await shipper.take(happened.value.bytes);
          isNewest = happened.value.isNewest;
          if (isAsked() && hasAsked()) await give();
        }
        arriving = next();
      }
    }
    const now = { at: shipper.received(), ms: monotonicMs() };
    const bytesPerMs = writtenSince(looked, now);
    const isClosed = looked !== undefined && looked.at <= segmentStart(now.at, segmentBytes);
    if (isClosed) flushed = looked;
    looked = now;
    const isCalm = !isBusy();
    const fullMs = () => fullInMs({ received: now.at, segmentBytes, bytesPerMs, withinMs: dueInMs() });
    // What is open can wait until its segment is full; where that takes too long, little is stored twice just behind the one before.
    const isDue = dueInMs() === 0 || (isClosed && fullMs() === undefined);
    if (!isFetching || isCalm || isDue || isAtEnd()) await flush();
    await feed.close();
    if (isAtEnd()) return "stopped";
    isFetching = !isCalm;
    if (isFetching) {
      alarm.ringIn(fullMs() ?? dueInMs());
      await ringing;
      ringing = alarm.rung();
    }
  }
}
