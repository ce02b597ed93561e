import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@stillpoint/bus/log";

const PAUSE_MS = 1_000;

/**
 * Runs something that has no end of its own, such as following a bucket, until disposal. Should it break, that is logged
 * and it begins anew: it must be written so that a beginning is a full one.
 */
export function keepRunning(log: Log, name: string, run: (signal: AbortSignal) => Promise<void>): AsyncDisposable {
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      try {
        await run(stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.error(
          { task: name, why: error instanceof Error ? (error.stack ?? error.message) : String(error) },
          "broke off",
        );
      }
      await delay(PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {
        // Only stopping ends the pause early; the loop sees it.
      });
    }
  };
  const running = loop();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
    },
  };
}
