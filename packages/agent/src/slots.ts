/** At most `count` at once, in the order of asking. */
export function slots(count: number) {
  let free = count;
  const waiting: (() => void)[] = [];
  return async function use<Result>(run: () => Promise<Result>): Promise<Result> {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
export type Slots = ReturnType<typeof slots>;
