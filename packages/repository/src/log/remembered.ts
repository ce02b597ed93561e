/** What is remembered of so many objects takes some tens of MB. */
const MOST_REMEMBERED = 100_000;

/** Reads what never changes once, and forgets the oldest of too much. */
export function remembered<Value>() {
  const known = new Map<string, Value>();
  return async (id: string, read: () => Promise<Value | undefined>): Promise<Value | undefined> => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const value = await read();
    if (value === undefined) return undefined;
    known.set(id, value);
    const [oldest] = known.keys();
    if (known.size > MOST_REMEMBERED && oldest !== undefined) known.delete(oldest);
    return value;
  };
}

/** What was read lately and may be asked for again; the oldest goes first. */
export function lately<Value>(most: number, sizeOf: (value: Value) => number) {
  const kept = new Map<string, Value>();
  let size = 0;
  const forget = (id: string): Value | undefined => {
    const value = kept.get(id);
    if (value === undefined) return undefined;
    kept.delete(id);
    size -= sizeOf(value);
    return value;
  };
  return {
    get: (id: string) => kept.get(id),
    take: forget,
    set(id: string, value: Value) {
      forget(id);
      kept.set(id, value);
      size += sizeOf(value);
      for (const [oldest] of kept) {
        if (size <= most) return;
        forget(oldest);
      }
    },
  };
}
