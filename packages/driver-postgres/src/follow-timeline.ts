import type { Alarm } from "./alarm.ts";
import type { WalPosition } from "./log-position.ts";
import type { Lsn } from "./lsn.ts";
import type { TimelineShipper } from "./ship-timeline.ts";
import type { WalFeed } from "./wal-feed.ts";

export type Following = {
  feed: WalFeed;
  shipper: TimelineShipper;
  /** Rings when a flush is due, and when it is asked to stop. */
  alarm: Alarm;
  flushMs: number;
  /** Once it is asked to stop: up to where it still ships. */
  stopAt: () => Lsn | undefined;
};

/** `undefined`: the server ended its side, and does not say that it went on with another timeline. */
export type Followed = "stopped" | WalPosition | undefined;

export async function followTimeline({ feed, shipper, alarm, flushMs, stopAt }: Following): Promise<Followed> {
  const next = () => {
    const event = feed.events.next();
    // It is looked at below, but it may fail while a flush is waited for.
    event.catch(() => undefined);
    return event;
  };
  let arriving = next();
  let ringing = alarm.rung();
  for (;;) {
    const happened = await Promise.race([ringing, arriving]);
    if (happened === "rung") {
      ringing = alarm.rung();
      await shipper.flush();
    } else if (happened.done) {
      await shipper.end();
      return feed.following();
    } else {
      if (happened.value.type === "ping") {
        await shipper.flush();
      } else {
        alarm.ringIn(flushMs);
        await shipper.take(happened.value.bytes);
      }
      arriving = next();
    }
    const end = stopAt();
    if (end !== undefined && shipper.received() >= end) {
      await shipper.flush();
      await feed.close();
      return "stopped";
    }
  }
}
