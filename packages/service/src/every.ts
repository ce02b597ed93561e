import type { Log } from "@stillpoint/bus/log";
import type { Clock } from "@stillpoint/contracts/clock";

export type EveryOptions = {
  clock: Clock;
  log: Log;
  /** Hears of each failure, to count it. */
  failed: () => void;
};

/**
 * Calls `task` again and again, each time `ms` after the last call ended, so that a slow one is never doubled. A failure
 * is logged and counted, and the next call comes all the same. Disposal waits for the call under way.
 */
export function every(
  options: EveryOptions,
  ms: number,
  task: (now: number) => Promise<unknown> | unknown,
): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  let running: Promise<void> = Promise.resolve();
  const run = async () => {
    try {
      await task(options.clock.now());
    } catch (error) {
      options.failed();
      options.log.error(
        { why: error instanceof Error ? (error.stack ?? error.message) : String(error) },
        "task failed",
      );
    }
    if (!isOver) arm();
  };
  const arm = () => {
    timer = setTimeout(() => {
      running = run();
    }, ms);
  };
  arm();
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      clearTimeout(timer);
      await running;
    },
  };
}
