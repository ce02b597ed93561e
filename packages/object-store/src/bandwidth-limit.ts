import { type BandwidthSchedule, bytesPerSecondAt } from "./bandwidth-schedule.ts";
import { aroundLarge } from "./large-objects.ts";
import { bodyLength, type ObjectStore } from "./object-store.ts";
import { type TokenBucket, tokenBucket } from "./token-bucket.ts";

export type BandwidthLimit = {
  upload?: BandwidthSchedule | undefined;
  download?: BandwidthSchedule | undefined;
  now: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
};

/**
 * Holds bodies back so that over time no more is moved than the schedules say, uploads and downloads apart. One object
 * goes at the speed of the line, and the next one waits: requests without a body are never held back.
 */
export function withBandwidthLimit(store: ObjectStore, limit: BandwidthLimit): ObjectStore {
  const { now, sleep } = limit;
  const bucketOf = (schedule: BandwidthSchedule | undefined): TokenBucket | undefined =>
    schedule && tokenBucket({ bytesPerSecondAt: (atMs) => bytesPerSecondAt(schedule, atMs), now, sleep });
  const upload = bucketOf(limit.upload);
  const download = bucketOf(limit.download);

  return {
    url: store.url,
    locks: store.locks,
    classes: store.classes,
    large: aroundLarge(
      store.large,
      (call) => call(),
      (bytes, signal) => upload?.take(bytes, signal),
    ),
    async put(name, body, options) {
      await upload?.take(bodyLength(body), options?.signal);
      await store.put(name, body, options);
    },
    async get(name, range, signal) {
      const expected = range?.length ?? 0;
      await download?.take(expected, signal);
      const bytes = await store.get(name, range, signal);
      download?.settle(bytes.length - expected);
      return bytes;
    },
    list: store.list.bind(store),
    head: store.head.bind(store),
    delete: store.delete.bind(store),
    now: store.now.bind(store),
    createsAtomically: store.createsAtomically.bind(store),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
