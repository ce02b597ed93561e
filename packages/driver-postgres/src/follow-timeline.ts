import type { Alarm } from "./alarm.ts";
import { fullInMs } from "./fetch-pace.ts";
import type { WalPosition } from "./log-position.ts";
import { type Lsn, segmentStart } from "./lsn.ts";
import type { TimelineShipper } from "./ship-timeline.ts";
import type { WalFeed } from "./wal-feed.ts";

export type Following = {
  /** Has the server send its WAL from there on, on a connection that lives as long as the feed. */
  openFeed: (at: Lsn) => Promise<WalFeed>;
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
 * A server sends its WAL commit by commit to one who listens, and before version 16 every commit wakes also a connection for
 * replication that asks for nothing. At thousands a second that takes more of the server's processors than the bytes do: one that
 * writes more than this is only looked at now and then, and not connected to in between.
 */
const BUSY_BYTES_PER_MS = 131.072;

/** Where the server's log stood, and when. */
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
  let isFetching = false;
  /** The last look of which all is durable. Nothing before the first time: what comes until then was written before. */
  let flushed: Look | undefined;
  /** The end of what was written before, and of the last fetch. */
  let caughtUp: Look | undefined;
  let looked: Look | undefined;
  const measured = () => flushed ?? caughtUp;
  const isBusy = () => writtenSince(measured(), { at: shipper.received(), ms: monotonicMs() }) > BUSY_BYTES_PER_MS;
  /** More than a calm server writes from one flush to the next. */
  const isMuch = () =>
    Number(shipper.received() - (measured()?.at ?? shipper.received())) > BUSY_BYTES_PER_MS * flushMs;
  const dueInMs = (since = flushed) => (since === undefined ? 0 : Math.max(0, since.ms + withinMs - monotonicMs()));
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
  /** In how many ms the segment is full that the server writes, if a flush of what is not durable `since` then can wait for it. */
  const fullMs = (now: Look, since = flushed) => {
    const bytesPerMs = writtenSince(looked ?? measured(), now);
    return fullInMs({ received: now.at, segmentBytes, bytesPerMs, withinMs: dueInMs(since) });
  };
  /** With these bytes the segment is full, and what else the server has written comes with the next one. */
  const isLastOfFetch = ({ bytes, newest }: { bytes: Buffer; newest: Lsn }) => {
    const end = segmentStart(shipper.received(), segmentBytes) + BigInt(segmentBytes);
    if (shipper.received() + BigInt(bytes.length) < end || newest >= end + BigInt(segmentBytes)) return false;
    if (!hasAsked() || stopAt() !== undefined) return false;
    const since = looked !== undefined && looked.at <= end ? looked : flushed;
    return fullMs({ at: newest, ms: monotonicMs() }, since) !== undefined;
  };

  /** Takes what comes until nothing more is to be fetched. `waitMs`: so long it may be left alone. */
  async function follow(): Promise<{ followed: Followed } | { waitMs: number | undefined }> {
    await using feed = await openFeed(shipper.received());
    const next = () => {
      const event = feed.events.next();
      // It is looked at below, but it may fail while a flush is waited for.
      event.catch(() => undefined);
      return event;
    };
    let newest: Lsn | undefined;
    const isNewest = () => newest !== undefined && shipper.received() >= newest;
    // What was left open waits no longer if nothing more comes.
    if (isAsked() && hasAsked()) await give();
    if (flushed !== undefined && flushed.at < shipper.received()) alarm.ringIn(dueInMs());
    let last: Buffer | undefined;
    for (let arriving = next(); !(isFetching && isNewest() && hasAsked()) && !isAtEnd(); ) {
      const happened = await Promise.race([ringing, arriving]);
      if (happened === "rung") {
        ringing = alarm.rung();
        // How much is written is told by the flushes that are due: between two of them there may be no time.
        if (isAsked()) await give();
        else {
          isFetching = isBusy();
          if (!isFetching || !isNewest()) await flush();
        }
      } else if (happened.done) {
        await shipper.end();
        return { followed: feed.following() };
      } else if (happened.value.type === "ping") {
        await flush();
        isFetching = false;
        arriving = next();
      } else {
        newest = happened.value.newest;
        if (isFetching && isLastOfFetch(happened.value)) {
          last = happened.value.bytes;
          break;
        }
        if (!isFetching) alarm.ringIn(flushMs);
        await shipper.take(happened.value.bytes);
        if (isNewest()) caughtUp ??= { at: shipper.received(), ms: monotonicMs() };
        isFetching ||= isMuch();
        if (isAsked() && hasAsked()) await give();
        arriving = next();
      }
    }
    if (isAtEnd()) {
      await flush();
      await feed.close();
      return { followed: "stopped" };
    }
    // While it is stored, the server has nothing to do with us.
    await feed.close();
    if (last !== undefined) await shipper.take(last);
    const now = { at: newest ?? shipper.received(), ms: monotonicMs() };
    const isClosed = looked !== undefined && looked.at <= segmentStart(shipper.received(), segmentBytes);
    if (isClosed) flushed = looked;
    isFetching = isBusy();
    // What is open can wait until its segment is full; where that takes too long, little is stored twice just behind the one before.
    if (!isFetching || dueInMs() === 0 || (isClosed && fullMs(now) === undefined)) await flush();
    const waitMs = isFetching ? (fullMs(now) ?? dueInMs()) : undefined;
    looked = isFetching ? now : undefined;
    return { waitMs };
  }

  for (;;) {
    const done = await follow();
    if ("followed" in done) return done.followed;
    if (done.waitMs === undefined) continue;
    alarm.ringOnlyIn(done.waitMs);
    await ringing;
    ringing = alarm.rung();
  }
}
