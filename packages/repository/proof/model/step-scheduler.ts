import { setImmediate } from "node:timers/promises";

/** A call of a store that waits to be let go. */
export type WaitingCall = { process: number; call: string; go: () => void };

/** Turns of the event loop in which nothing happened: all work is in this thread, so nothing will before a call is let go. */
const QUIET_TURNS = 6;
/** Work that gives others their turn now and then may take so many. */
const LONG_TURNS = 500;

/**
 * Lets one call of a store go at a time, so that every order of the calls of several processes can be had, and the same one
 * again. A process that was killed makes no further call and hears no answer.
 */
export function stepScheduler() {
  const waiting: WaitingCall[] = [];
  const dead = new Set<number>();
  const free = new Set<number>();
  let events = 0;

  const never = new Promise<never>(() => undefined);

  async function quiet(turns = QUIET_TURNS): Promise<void> {
    let seen = events;
    for (let idle = 0; idle < turns; idle++) {
      await setImmediate();
      if (events === seen) continue;
      seen = events;
      idle = -1;
    }
  }

  return {
    /** Resolves when the call may be made. */
    async gate(process: number, call: string): Promise<void> {
      if (dead.has(process)) return await never;
      if (free.has(process)) return;
      await new Promise<void>((resolve) => {
        events++;
        waiting.push({ process, call, go: resolve });
      });
    },
    /** Resolves when the answer may be heard. */
    async heard(process: number): Promise<void> {
      events++;
      if (dead.has(process)) await never;
    },
    /** Something happened that is no call: a task ended. */
    happened: () => void events++,
    /** Calls of the process pass as they come, while it does the work: it is opened. */
    async freely<Result>(process: number, work: () => Promise<Result>): Promise<Result> {
      free.add(process);
      return await work().finally(() => free.delete(process));
    },
    waitingOf: (process: number) => waiting.filter((each) => each.process === process),
    /** Makes one call, and waits until nothing moves. */
    async let(call: WaitingCall): Promise<void> {
      waiting.splice(waiting.indexOf(call), 1);
      call.go();
      await quiet();
    },
    /** Makes one call whose answer nobody hears: its process is killed before. */
    async letUnheard(call: WaitingCall): Promise<void> {
      waiting.splice(waiting.indexOf(call), 1);
      call.go();
      dead.add(call.process);
      await quiet();
    },
    kill(process: number): void {
      dead.add(process);
      for (let at = waiting.length - 1; at >= 0; at--) if (waiting[at]?.process === process) waiting.splice(at, 1);
    },
    /** Waits until a call waits again, or something else happened; or surely nothing will. */
    async moved(): Promise<void> {
      const seen = events;
      for (let turn = 0; turn < LONG_TURNS && events === seen; turn++) await setImmediate();
      await quiet();
    },
  };
}
export type StepScheduler = ReturnType<typeof stepScheduler>;
