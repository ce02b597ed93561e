import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { LogRange } from "@stillpoint/contracts/log";
import type { LogSink } from "@stillpoint/driver/ship";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { logRangeOf } from "../src/log-position.ts";
import { segmentSpool } from "../src/segment-spool.ts";
import { TAILS_MOST, timelineShipper } from "../src/ship-timeline.ts";

const SEGMENT = 1 << 20;
const STEP = 1_000;

/** What a sink was given: tails as they are, closed stretches as their segment's file. */
async function shipped() {
  const directory = await temporaryDirectory("timeline");
  const tails: { range: LogRange; bytes: Buffer }[] = [];
  const closed: { range: LogRange; file: Buffer }[] = [];
  const sink: LogSink = {
    async closed(range, write) {
      const files: Buffer[] = [];
      const tree = {
        add: async (_: unknown, body?: AsyncIterable<Uint8Array>) => {
          if (body !== undefined) files.push(Buffer.concat(await Array.fromAsync(body)));
        },
      };
      await write(tree as unknown as TreeWriter); // a segment's tree has files only
      closed.push({ range, file: Buffer.concat(files) });
    },
    async tail(range, bytes) {
      tails.push({ range, bytes: Buffer.from(bytes) });
    },
    gap: async ({ why }) => {
      throw new Error(`a gap: ${why}`);
    },
  };
  const spool = await segmentSpool(await mkdtemp(join(directory.path, "spool-")), SEGMENT);
  const from = BigInt(7 * SEGMENT);
  let durable = from;
  const shipper = await timelineShipper({
    ...{ timeline: 1, from, segmentBytes: SEGMENT, spool, sink, now: Date.now },
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
