import { abortable } from "./abortable.ts";

/** Room before the fresh bytes, for those of the chunk that is still open: no chunk is longer. */
export const HEADROOM = 4 * 1024 * 1024;
export const SLAB_BYTES = 4 * 1024 * 1024;

export type Slab = { memory: SharedArrayBuffer; bytes: Buffer; used: number; holders: number };

/** One backup's part of the slabs. */
export type SlabShare = {
  acquire(signal: AbortSignal): Promise<Slab>;
  /** Once for each holder; the last one gives it back. */
  release(slab: Slab): void;
  /** Where the open chunk's bytes wait for the next slab. */
  carry: SharedArrayBuffer;
  /** Nobody writes to `carry` any more: another backup may. One that fails need not say so. */
  end(): void;
};

/**
 * Buffers that go round among all backups under way, `most` at once: who reads faster than the workers work waits for one.
 * A backup that holds none always gets one, and needs no second to go on, so that no two can wait for each other.
 */
export function slabPool(most: number) {
  const free: SharedArrayBuffer[] = [];
  const carries: SharedArrayBuffer[] = [];
  let used = 0;
  let waiting: (() => void)[] = [];

  function take(): SharedArrayBuffer {
    used++;
    return free.pop() ?? new SharedArrayBuffer(HEADROOM + SLAB_BYTES);
  }

  function giveBack(memory: SharedArrayBuffer): void {
    used--;
    if (free.length + used < most) free.push(memory);
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }

  return {
    share(): SlabShare {
      let held = 0;
      const carry = carries.pop() ?? new SharedArrayBuffer(HEADROOM);
      return {
        carry,
        end() {
          if (carries.length < most) carries.push(carry);
        },
        async acquire(signal) {
          signal.throwIfAborted();
          while (held > 0 && used >= most) {
            await abortable(new Promise<void>((resolve) => waiting.push(resolve)), signal);
          }
          held++;
          const memory = take();
          return { memory, bytes: Buffer.from(memory), used: 0, holders: 1 };
        },
        release(slab) {
          if (--slab.holders > 0) return;
          held--;
          giveBack(slab.memory);
        },
      };
    },
  };
}
