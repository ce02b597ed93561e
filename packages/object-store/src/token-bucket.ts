import { addAbortListener } from "node:events";

export type TokenBucketOptions = {
  /** At a moment; Infinity: no limit. */
  bytesPerSecondAt: (atMs: number) => number;
  now: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
};

export type TokenBucket = {
  /** Waits for its turn and until what went before is paid for, then owes these bytes. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
  /** More was moved than was taken, or less: negative. */
  settle(bytes: number): void;
};

/** The rate may change while somebody waits: it is looked at again after so long. */
const LOOK_AGAIN_MS = 30_000;

/** Who gives up does not wait for those before. */
async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  using _listener = addAbortListener(signal, () => reject(signal.reason));
  await Promise.race([promise, aborted]);
}

/** Bytes that may be moved gather at the rate in force, up to one second's worth. A body larger than that leaves a debt. */
export function tokenBucket({ bytesPerSecondAt, now, sleep }: TokenBucketOptions): TokenBucket {
  let balance = 0;
  let countedMs = now();
  let turn: Promise<unknown> = Promise.resolve();

  /** How long until the balance is not negative any more. */
  function waitMs(): number {
    const atMs = now();
    const rate = bytesPerSecondAt(atMs);
    // A clock that was set back gathers nothing.
    const elapsedMs = Math.max(0, atMs - countedMs);
    countedMs = atMs;
    if (rate === Number.POSITIVE_INFINITY) balance = 0;
    else balance = Math.min(rate, balance + (elapsedMs / 1000) * rate);
    return balance >= 0 ? 0 : (-balance / rate) * 1000;
  }
  async function paid(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    for (let ms = waitMs(); ms > 0; ms = waitMs()) await sleep(Math.min(Math.ceil(ms), LOOK_AGAIN_MS), signal);
    signal?.throwIfAborted();
    balance -= bytes;
  }

  return {
    take(bytes, signal) {
      const taken = turn.then(() => paid(bytes, signal));
      // Whoever is next waits for the end of this one, not for its success.
      turn = taken.catch(() => undefined);
      return signal === undefined ? taken : orAborted(taken, signal);
    },
    settle(bytes) {
      balance -= bytes;
    },
  };
}
