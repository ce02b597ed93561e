import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { LogRange } from "@stillpoint/contracts/log";
import type { LogSink } from "@stillpoint/driver/ship";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, test } from "vitest";
import { logPositionOf, logRangeOf } from "../src/log-position.ts";
import { segmentSpool } from "../src/segment-spool.ts";
import { type ShipperOptions, TAILS_MOST, timelineShipper } from "../src/ship-timeline.ts";
import { historyText } from "../src/timeline-history.ts";

const SEGMENT = 1 << 20;
const STEP = 1_000;

/** What a sink was given: tails as they are, closed stretches as their segment's file. */
async function shipped({
  from = BigInt(7 * SEGMENT),
  segmentBytes = SEGMENT,
  ...timeline
}: Partial<ShipperOptions> = {}) {
  const directory = await temporaryDirectory("timeline");
  const tails: { range: LogRange; bytes: Buffer }[] = [];
  const closed: { range: LogRange; file: Buffer; others: string[] }[] = [];
  const sink: LogSink = {
    async closed(range, write) {
      const files: Buffer[] = [];
      const tree = {
        add: async (_: unknown, body?: AsyncIterable<Uint8Array>) => {
          if (body !== undefined) files.push(Buffer.concat(await Array.fromAsync(body)));
        },
      };
      await write(tree as unknown as TreeWriter); // a segment's tree has files only
      const file = files.pop() ?? Buffer.alloc(0);
      closed.push({ range, file, others: files.map(String) });
    },
    async tail(range, bytes) {
      tails.push({ range, bytes: Buffer.from(bytes) });
    },
    gap: async ({ why }) => {
      throw new Error(`a gap: ${why}`);
    },
  };
  const spool = await segmentSpool(await mkdtemp(join(directory.path, "spool-")), segmentBytes);
  let durable = from;
  const shipper = await timelineShipper({
    ...{ timeline: 1, ...timeline, from, segmentBytes, spool, sink, now: Date.now },
    onDurable: (at) => {
      durable = at;
    },
  });
  return {
    ...{ shipper, tails, closed, from },
    durable: () => durable,
    async [Symbol.asyncDispose]() {
      await spool[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test("a segment that fills slowly is closed as far as it is, so that its tails stay few, and once more when it is full", async () => {
  await using it = await shipped();
  const { shipper, tails, closed, from } = it;
  const wal = randomBytes(SEGMENT);
  const end = (flushes: number) => from + BigInt(flushes * STEP);
  for (let flush = 0; flush < TAILS_MOST + 2; flush += 1) {
    await shipper.take(wal.subarray(flush * STEP, (flush + 1) * STEP));
    await shipper.flush();
    expect(it.durable()).toBe(end(flush + 1));
  }
  expect(tails).toHaveLength(TAILS_MOST + 1);
  expect(closed.map(({ range }) => range)).toEqual([logRangeOf(1, from, end(TAILS_MOST + 1))]);
  const [partly] = closed;
  expect(partly?.file.length).toBe(SEGMENT);
  expect(partly?.file.subarray(0, (TAILS_MOST + 1) * STEP).equals(wal.subarray(0, (TAILS_MOST + 1) * STEP))).toBe(true);
  expect(partly?.file.subarray((TAILS_MOST + 1) * STEP).every((byte) => byte === 0)).toBe(true);
  // What comes after goes on behind it, not over it.
  expect(tails.at(-1)?.range).toEqual(logRangeOf(1, end(TAILS_MOST + 1), end(TAILS_MOST + 2)));
  await shipper.take(wal.subarray((TAILS_MOST + 2) * STEP));
  expect(closed.at(-1)?.range).toEqual(logRangeOf(1, from, from + BigInt(SEGMENT)));
  expect(closed.at(-1)?.file.equals(wal)).toBe(true);
});

describe("a new timeline begins with its first segment, in one piece that goes beyond the branch", () => {
  const MB = 1 << 20;
  const segmentBytes = 16 * MB;
  const start = BigInt(3 * segmentBytes);
  const after = (branch: bigint) => ({ after: logPositionOf({ timeline: 1, at: branch }) });
  const shippedFrom = (branch: bigint, from = branch) => {
    const parent = { timeline: 1, at: branch };
    return shipped({ timeline: 2, parent, history: historyText([parent]), from, segmentBytes });
  };

  test("a tail, where that is short; what flushes bring before it is in the timeline that was left", async () => {
    const branch = start + BigInt(MB);
    await using it = await shippedFrom(branch);
    const wal = randomBytes(2 * MB);
    await it.shipper.take(wal.subarray(0, MB));
    await it.shipper.flush();
    expect(it.tails).toEqual([]);
    await it.shipper.take(wal.subarray(MB, MB + STEP));
    await it.shipper.flush();
    await it.shipper.take(wal.subarray(MB + STEP));
    await it.shipper.flush();
    expect(it.tails.map(({ range }) => range)).toEqual([
      { ...logRangeOf(2, start, branch + BigInt(STEP)), ...after(branch) },
      logRangeOf(2, branch + BigInt(STEP), start + BigInt(wal.length)),
    ]);
    expect(Buffer.concat(it.tails.map(({ bytes }) => bytes)).equals(wal)).toBe(true);
    expect(it.closed).toEqual([]);
    expect(it.durable()).toBe(start + BigInt(wal.length));
  });

  test.each([
    ["at the branch", 9 * MB],
    ["before it, by one who shipped otherwise", 5 * MB],
  ])("the segment as far as it is, where the branch lies deep in it and what is held ends %s", async (_, held) => {
    const branch = start + BigInt(9 * MB);
    await using it = await shippedFrom(branch, start + BigInt(held));
    const wal = randomBytes(10 * MB);
    for (let at = 0; at < wal.length; at += MB) {
      await it.shipper.take(wal.subarray(at, at + MB));
      await it.shipper.flush();
    }
    await it.shipper.take(Buffer.alloc(STEP));
    await it.shipper.flush();
    expect(it.closed).toEqual([
      {
        range: { ...logRangeOf(2, start, start + BigInt(wal.length)), ...after(branch) },
        file: expect.any(Buffer),
        others: [historyText([{ timeline: 1, at: branch }])],
      },
    ]);
    expect(it.closed[0]?.file.subarray(0, wal.length).equals(wal)).toBe(true);
    const end = start + BigInt(wal.length);
    expect(it.tails.map(({ range }) => range)).toEqual([logRangeOf(2, end, end + BigInt(STEP))]);
    expect(it.durable()).toBe(end + BigInt(STEP));
  });
});
