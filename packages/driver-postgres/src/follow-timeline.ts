import type { Alarm } from "./alarm.ts";
import { nextFetchMs } from "./fetch-pace.ts";
import type { WalPosition } from "./log-position.ts";
import type { Lsn } from "./lsn.ts";
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
 * than the bytes do: one that writes more than this is listened to once for each flush only.
 */
const BUSY_BYTES_PER_MS = 131.072;

/** However seldom is flushed: a server may drop slots that nobody read from for a minute (idle_replication_slot_timeout). */
const MOST_ALONE_MS = 30_000;

/**
 * Ships what comes until it is told to stop or the server ends its side. One that writes little is listened to all the time, so
 * that it waits for us when it shuts down; from a busy one the WAL is fetched for each flush, up to where the server is then.
 */
export async function followTimeline(following: Following): Promise<Followed> {
  const { openFeed, shipper, alarm, flushMs, segmentBytes, stopAt, soonAt, monotonicMs } = following;
  let ringing = alarm.rung();
  /** Nothing before the first time: what comes until then was written before. */
  let flushed: { at: Lsn; ms: number } | undefined;
  const bytesPerMs = () =>
    flushed === undefined ? 0 : Number(shipper.received() - flushed.at) / Math.max(1, monotonicMs() - flushed.ms);
  const isBusy = () => bytesPerMs() > BUSY_BYTES_PER_MS;
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
    const fetchedMs = isFetching ? monotonicMs() : undefined;
    const feed = openFeed(shipper.received());
    const next = () => {
      const event = feed.events.next();
      // It is looked at below, but it may fail while a flush is waited for.
      event.catch(() => undefined);
      return event;
    };
    let isNewest = false;
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
    const written = bytesPerMs();
    isFetching = written > BUSY_BYTES_PER_MS;
    await flush();
    await feed.close();
    if (isAtEnd()) return "stopped";
    if (isFetching) {
      const tookMs = fetchedMs === undefined ? 0 : monotonicMs() - fetchedMs;
      const withinMs = Math.max(0, Math.min(flushMs, MOST_ALONE_MS) - tookMs);
      alarm.ringIn(nextFetchMs({ received: shipper.received(), segmentBytes, bytesPerMs: written, withinMs }));
      await ringing;
      ringing = alarm.rung();
    }
  }
}
