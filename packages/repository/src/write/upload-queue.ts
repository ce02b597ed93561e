import { abortable } from "./abortable.ts";

/** Packs on their way to the object store, of all backups together: `atOnce` are being stored, few more wait. */
export function uploadQueue(atOnce: number) {
  let under = 0;
  const waiting: (() => void)[] = [];
  let watching: (() => void)[] = [];

  return {
    /** Does the work when there is a place for it. */
    async run(work: () => Promise<void>): Promise<void> {
      if (under++ >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        await work();
      } finally {
        under--;
        waiting.shift()?.();
        const woken = watching;
        watching = [];
        for (const wake of woken) wake();
      }
    },
    /** Resolves when none waits: who fills packs faster than they are stored must not go on before. */
    async room(signal: AbortSignal): Promise<void> {
      while (under > atOnce) {
        await abortable(new Promise<void>((resolve) => watching.push(resolve)), signal);
      }
    },
  };
}
