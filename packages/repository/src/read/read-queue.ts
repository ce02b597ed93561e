/** Reads under way, of all restores together: so many at once, and of so many bytes; one alone may have more. */
export function readQueue(atOnce: number, mostBytes: number) {
  let reads = 0;
  let bytes = 0;
  const waiting: { length: number; begin: () => void }[] = [];
  const beginNext = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (reads > 0 && (reads >= atOnce || bytes + next.length > mostBytes)) return;
      waiting.shift();
      reads += 1;
      bytes += next.length;
      next.begin();
    }
  };

  return {
    /** Does the work when there is room for its bytes. */
    async run(length: number, work: () => Promise<void>): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ length, begin: resolve });
      beginNext();
      await promise;
      try {
        await work();
      } finally {
        reads -= 1;
        bytes -= length;
        beginNext();
      }
    },
  };
}
