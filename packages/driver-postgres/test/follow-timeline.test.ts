import type { LogSink } from "@stillpoint/driver/ship";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { alarm } from "../src/alarm.ts";
import { followTimeline } from "../src/follow-timeline.ts";
import type { Lsn } from "../src/lsn.ts";
import { segmentSpool } from "../src/segment-spool.ts";
import { timelineShipper } from "../src/ship-timeline.ts";
import type { WalEvent, WalFeed } from "../src/wal-feed.ts";

const SEGMENT = 1 << 20;
const FLUSH_MS = 5_000;
const MESSAGE = 65_536;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * Follows a server that has written so many bytes at a time, for so long; what was stored, how old a byte ever was before it was, and
 * what the server had to do with it: for how long it was connected to, and how many segments were stored meanwhile.
 */
async function followed(writtenAt: (ms: number) => number, { forMs, askedMs }: { forMs: number; askedMs?: number }) {
  const at = (): Lsn => BigInt(Math.floor(writtenAt(Date.now())));
  const stored = { tails: 0, closed: 0, looks: 0, oldestMs: 0, missing: 0, connectedMs: 0, closedConnected: 0 };
  let connectedAt: number | undefined;
  const leave = async () => {
    if (connectedAt !== undefined) stored.connectedMs += Date.now() - connectedAt;
    connectedAt = undefined;
  };
  let durable = 0;
  const sink: LogSink = {
    async tail(_, bytes) {
      stored.tails += bytes.length;
    },
    async closed() {
      stored.closed += SEGMENT;
      if (connectedAt !== undefined) stored.closedConnected += 1;
    },
    gap: () => Promise.reject(new Error("a gap")),
  };
  using bell = alarm();
  const shipper = await timelineShipper({
    timeline: 1,
    from: 0n,
    segmentBytes: SEGMENT,
    spool: await segmentSpool("", SEGMENT),
    sink,
    now: Date.now,
    onDurable: (to) => {
      durable = Number(to);
    },
  });
  const openFeed = async (from: Lsn): Promise<WalFeed> => {
    stored.looks += 1;
    connectedAt = Date.now();
    let received = from;
    const look = stored.looks;
    async function* events(): AsyncGenerator<WalEvent, void, void> {
      while (stored.looks === look && connectedAt !== undefined) {
        for (const newest = at(); received < newest; ) {
          const bytes = Buffer.alloc(Math.min(MESSAGE, Number(newest - received)));
          received += BigInt(bytes.length);
          yield { type: "wal", bytes, newest };
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    return {
      events: events(),
      confirm: () => undefined,
      received: () => received,
      silentMs: () => 0,
      following: () => undefined,
      close: leave,
      [Symbol.asyncDispose]: leave,
    };
  };
  let end: Lsn | undefined;
  let soon: Lsn = 0n;
  const done = followTimeline({
    openFeed,
    shipper,
    alarm: bell,
    flushMs: FLUSH_MS,
    segmentBytes: SEGMENT,
    stopAt: () => end,
    soonAt: () => soon,
    monotonicMs: Date.now,
  });
  for (let ms = 0; ms < forMs; ms += 100) {
    await vi.advanceTimersByTimeAsync(100);
    // When the oldest byte that is not durable was written.
    let [low, high] = [0, Date.now()];
    while (high - low > 1) {
      const middle = (low + high) / 2;
      if (writtenAt(middle) > durable) high = middle;
      else low = middle;
    }
    stored.oldestMs = Math.max(stored.oldestMs, Date.now() - high);
  }
  if (askedMs !== undefined) {
    await vi.advanceTimersByTimeAsync(askedMs);
    soon = at();
    bell.ring();
    await vi.advanceTimersByTimeAsync(200);
    stored.missing = Number(soon) - durable;
  }
  end = at();
  bell.ring();
  await vi.advanceTimersByTimeAsync(2 * FLUSH_MS);
  expect(await done).toBe("stopped");
  return stored;
}

test.each([
  ["evenly", (ms: number) => ms * 450],
  ["less and less", (ms: number) => 40_000_000 * (1 - Math.exp(-ms / 50_000))],
  ["more and more", (ms: number) => ms * 150 + (ms * ms) / 150],
  ["in bursts", (ms: number) => ms * 450 + 1_500_000 * Math.sin(ms / 4_000)],
])(
  "of a server that writes %s, little is stored as a tail and again with its segment, and nothing waits longer than a flush",
  async (_, writtenAt) => {
    const { tails, closed, looks, oldestMs, connectedMs, closedConnected } = await followed(writtenAt, {
      forMs: 60_000,
    });
    expect(closed).toBeGreaterThan(10 * SEGMENT);
    expect(tails / closed).toBeLessThan(0.2);
    expect(oldestMs).toBeLessThanOrEqual(FLUSH_MS + 200);
    expect(looks).toBeLessThan(60);
    // One that writes little between two bursts is listened to then.
    expect(connectedMs).toBeLessThan(20_000);
    expect(closedConnected).toBeLessThan(closed / SEGMENT / 3);
  },
);

test("what is asked for is stored at once, also where it was fetched before and waits for its segment to be full", async () => {
  for (let endMs = 20_000; endMs < 25_000; endMs += 100) {
    const { missing } = await followed((ms) => Math.min(ms, endMs) * 450, { forMs: endMs, askedMs: 300 });
    expect([endMs, missing]).toEqual([endMs, 0]);
    vi.setSystemTime(0);
  }
});
