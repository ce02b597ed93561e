/** Wakes a loop that waits for something else: now, or after a while. */
export type Alarm = Disposable & {
  /** Resolves when it rings next. */
  rung: () => Promise<"rung">;
  ring: () => void;
  /** Rings once after so long; one that is set already stays as it is. */
  ringIn: (ms: number) => void;
  /** Rings once after so long, and not as it was set before. */
  ringOnlyIn: (ms: number) => void;
};

export function alarm(): Alarm {
  let next = Promise.withResolvers<"rung">();
  let timer: NodeJS.Timeout | undefined;
  const ring = () => {
    clearTimeout(timer);
    timer = undefined;
    next.resolve("rung");
  };
  const ringIn = (ms: number) => {
    timer ??= setTimeout(ring, ms);
  };
  return {
    async rung() {
      const rang = await next.promise;
      next = Promise.withResolvers();
      return rang;
    },
    ring,
    ringIn,
    ringOnlyIn(ms) {
      clearTimeout(timer);
      timer = undefined;
      ringIn(ms);
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
