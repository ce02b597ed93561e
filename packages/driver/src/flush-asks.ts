/**
 * Asks for a flush, on their way to a shipper's loop. However many come while it flushes, they are one: whoever is about to
 * flush takes the next signal first, so that an ask which comes after that is not taken for answered by it.
 */
export function flushAsks() {
  let round = new AbortController();
  return {
    ask(): void {
      const asked = round;
      round = new AbortController();
      asked.abort();
    },
    /** Fires at the next ask. */
    next: (): AbortSignal => round.signal,
  };
}
export type FlushAsks = ReturnType<typeof flushAsks>;
