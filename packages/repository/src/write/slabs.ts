/** Room before the fresh bytes, for those of the chunk that is still open: no chunk is longer. */
export const HEADROOM = 4 * 1024 * 1024;
export const SLAB_BYTES = 4 * 1024 * 1024;

export type Slab = { memory: SharedArrayBuffer; bytes: Uint8Array; used: number; holders: number };

/** Buffers that go round, at most `most` at once: who reads faster than the workers work waits for one. */
export function slabPool(most: number, spare: SharedArrayBuffer[]) {
  const free: SharedArrayBuffer[] = [];
  const waiting: { resolve: (memory: SharedArrayBuffer) => void; reject: (error: unknown) => void }[] = [];
  let made = 0;

  return {
    async acquire(signal: AbortSignal): Promise<Slab> {
      signal.throwIfAborted();
      let memory = free.pop();
      if (memory === undefined && made < most) {
        memory = spare.pop() ?? new SharedArrayBuffer(HEADROOM + SLAB_BYTES);
        made++;
      }
      memory ??= await new Promise<SharedArrayBuffer>((resolve, reject) => {
        waiting.push({ resolve, reject });
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      return { memory, bytes: new Uint8Array(memory), used: 0, holders: 1 };
    },
    release(slab: Slab): void {
      if (--slab.holders > 0) return;
      const next = waiting.shift();
      if (next === undefined) free.push(slab.memory);
      else next.resolve(slab.memory);
    },
    /** For the next backup. */
    end(): void {
      spare.push(...free.splice(0));
    },
  };
}
