const MOST = 3;

/** Counts paths, and says the first few of them. */
export function namedFew() {
  const few: string[] = [];
  let count = 0;
  return {
    add(path: string): void {
      count += 1;
      if (few.length < MOST) few.push(path);
    },
    get count() {
      return count;
    },
    toString: () => few.join(", ") + (count > few.length ? ", …" : ""),
  };
}
export type NamedFew = ReturnType<typeof namedFew>;
