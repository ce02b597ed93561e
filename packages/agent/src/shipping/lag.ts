import type { LogPosition } from "@stillpoint/contracts/log";

type Sample = { server: LogPosition; atMs: number };

/** Enough to tell an age well; past it every second one goes, and the next come half as often. */
const MOST_SAMPLES = 512;

/**
 * For how long the repository has been without what the server has: the age of the oldest position seen at the server that
 * is not held. Positions of one stream sort; that a stream was left is seen when the next one is held.
 */
export function lagClock(monotonicMs: () => number) {
  let samples: Sample[] = [];
  let apartMs = 0;
  const forgetHeld = (held: LogPosition) => {
    const begun = samples.findIndex(({ server }) => server.stream === held.stream);
    if (begun > 0) samples = samples.slice(begun);
    const first = samples.findIndex(({ server }) => server.stream !== held.stream || server.at > held.at);
    samples = first < 0 ? [] : samples.slice(first);
  };
  return {
    seen({ held, server }: { held: LogPosition; server: LogPosition }): void {
      const last = samples.at(-1);
      if (last === undefined || monotonicMs() - last.atMs >= apartMs) samples.push({ server, atMs: monotonicMs() });
      forgetHeld(held);
      // What came too soon after the last one to be noted is all that there is now.
      if (samples.length === 0 && (server.stream !== held.stream || server.at > held.at)) {
        samples.push({ server, atMs: monotonicMs() });
      }
      if (samples.length <= 1) apartMs = 0;
      if (samples.length < MOST_SAMPLES) return;
      samples = samples.filter((_, at) => at % 2 === 0);
      apartMs = ((samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0)) / samples.length;
    },
    lagMs: (): number => {
      const [oldest] = samples;
      return oldest === undefined ? 0 : monotonicMs() - oldest.atMs;
    },
  };
}
export type LagClock = ReturnType<typeof lagClock>;
