/** Time is an argument: the wall clock is for people, the monotonic one decides about order and duration. */
export type Clock = {
  /** Epoch milliseconds. */
  now: () => number;
  /** Milliseconds of a clock that never goes back. */
  monotonicMs: () => number;
};

export type RandomBytes = (count: number) => Buffer;
