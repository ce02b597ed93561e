import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "@stillpoint/bus/bus";
import type { Lease } from "@stillpoint/bus/lease";
import type { Log } from "@stillpoint/bus/log";
import { keepRunning } from "@stillpoint/service/keep-running";

/** Of all replicas one delivers, so that nobody is told twice; another takes over when its lease has run out. */
export function soleCourier(
  bus: Bus,
  log: Log,
  owner: string,
  askEveryMs: number,
): AsyncDisposable & { isOurs: () => boolean } {
  let lease: Lease | undefined;
  const running = keepRunning(log, "courier's lease", async (signal) => {
    while (!signal.aborted) {
      if (lease === undefined || lease.lost.aborted) lease = await bus.acquireLease("alerting.courier", owner);
      await delay(askEveryMs, undefined, { signal });
    }
  });
  return {
    isOurs: () => lease !== undefined && !lease.lost.aborted,
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      await lease?.release();
    },
  };
}
