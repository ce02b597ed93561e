/** Locks by name, given in the order in which they were asked for. */
export class LockQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves when the lock is the caller's; the answer gives it back, and may be called again. */
  async take(name: string): Promise<() => void> {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(name, promise);
    await before;
    return resolve;
  }
}
