import { setImmediate } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import { listTar } from "@stillpoint/driver/extract";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { describe, expect, it } from "vitest";
import { logSink } from "../src/shipping/log-sink.ts";
import type { LogStore } from "../src/shipping/log-store.ts";

const range = (from: number, to: number): LogRange => ({ stream: "1", from: String(from), to: String(to) });
const away = () => new StillpointError("UNREACHABLE", { what: "The vault is away" });

/** A store in memory, whose calls each fail by the next of `failures`; after `losesAnswers` it keeps what it was given all the same. */
function memoryStore(failures: (StillpointError | undefined)[] = [], losesAnswers = false, isAway = false) {
  const kept = new Map<string, number>();
  const calls: string[] = [];
  let underWay = 0;
  const take = async (what: string, key: string, bytes: number) => {
    calls.push(what);
    underWay += 1;
    expect(underWay).toBe(1);
    await setImmediate();
    underWay -= 1;
    const failure = isAway ? away() : failures.shift();
    if (failure === undefined || losesAnswers) kept.set(key, bytes);
    if (failure !== undefined) throw failure;
  };
  const key = (of: LogRange) => `${of.from}-${of.to}`;
  const store: LogStore = {
    held: async () => undefined,
    putClosed: async (of, tar) => take("closed", key(of), (await listTar(tar, () => undefined)).bytes),
    hasClosed: async (of) => kept.has(key(of)),
    putTail: (of, bytes) => take("tail", key(of), bytes.byteLength),
    recordGap: ({ why }) => take("gap", why, 0),
  };
  return { store, kept, calls };
}

function sinkTo(store: LogStore, signal = new AbortController().signal) {
  const flushed: string[] = [];
  const refused: number[] = [];
  const sink = logSink({
    store,
    signal,
    pauseMs: () => 1,
    flushed: ({ from, to }, bytes) => flushed.push(`${from}-${to}: ${bytes}`),
    refused: (_, attempt) => refused.push(attempt),
  });
  return { sink, flushed, refused };
}

const segment = (bytes: number) => async (tree: TreeWriter) => {
  const entry = { type: "file", path: "segment", mode: 0o600, mtimeMs: 0, hint: "content" } as const;
  await tree.add(
    { ...entry, size: bytes },
    (async function* () {
      yield Buffer.alloc(bytes, 1);
    })(),
  );
};

describe("a log's sink", () => {
  it("offers the same stretch until a vault that is away takes it, and loses none", async () => {
    const { store, kept } = memoryStore([away(), away(), undefined, away(), undefined, away()]);
    const { sink, flushed, refused } = sinkTo(store);
    await sink.tail(range(0, 5), Buffer.alloc(5));
    await sink.closed(range(0, 9), segment(100_000));
    await sink.gap({ why: "lost" });
    expect([...kept]).toEqual([
      ["0-5", 5],
      ["0-9", 100_000],
      ["lost", 0],
    ]);
    expect(flushed).toEqual(["0-5: 5", "0-9: 100000"]);
    expect(refused).toEqual([1, 2, 1, 1]);
  });

  it("takes a stretch whose answer was lost for taken, and does not send it again", async () => {
    const { store, calls } = memoryStore([away()], true);
    const { sink, flushed } = sinkTo(store);
    await sink.closed(range(0, 9), segment(9));
    expect(calls).toEqual(["closed"]);
    expect(flushed).toEqual(["0-9: 9"]);
  });

  it("gives one stretch after the other, however many are brought at once", async () => {
    const { store, kept } = memoryStore();
    const { sink } = sinkTo(store);
    await Promise.all([1, 2, 3, 4].map((at) => sink.tail(range(at, at + 1), Buffer.alloc(at))));
    expect([...kept.keys()]).toEqual(["1-2", "2-3", "3-4", "4-5"]);
  });

  it("gives what no later try can cure, and what the driver could not read, back to the driver at once", async () => {
    const denied = new StillpointError("LEASE_LOST", { what: "Another has it" });
    const { store, calls } = memoryStore([denied]);
    const { sink } = sinkTo(store);
    await expect(sink.tail(range(0, 1), Buffer.alloc(1))).rejects.toBe(denied);
    // An error that may pass all the same: it is the source's, and the driver is who knows what to do about it.
    const unread = new StillpointError("SOURCE_LOST", { what: "The segment is gone" });
    const failing = async (tree: TreeWriter) => {
      await segment(10)(tree);
      throw unread;
    };
    await expect(sink.closed(range(0, 9), failing)).rejects.toBe(unread);
    expect(calls).toEqual(["tail"]);
    await sink.tail(range(0, 1), Buffer.alloc(1));
    expect(calls).toEqual(["tail", "tail"]);
  });

  it("offers nothing any more once its signal fires, whatever waits", async () => {
    const lost = new AbortController();
    const { store, kept, calls } = memoryStore([], false, true);
    const { sink, refused } = sinkTo(store, lost.signal);
    const waiting = [sink.tail(range(0, 1), Buffer.alloc(1)), sink.tail(range(1, 2), Buffer.alloc(1))];
    const settled = Promise.allSettled(waiting);
    while (refused.length < 3) await setImmediate();
    const reason = new StillpointError("LEASE_LOST", { what: "The lease is lost" });
    lost.abort(reason);
    const before = calls.length;
    for (const result of await settled) {
      expect(result.status).toBe("rejected");
    }
    expect(calls.length).toBeLessThanOrEqual(before + 1);
    expect(kept.size).toBe(0);
  });
});
