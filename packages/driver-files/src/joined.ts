import { comparePaths } from "./path-order.ts";

type Placed = { path: string };
type Batches<Item> = AsyncIterable<readonly Item[]>;
/** What two sequences have at one path. */
export type Pair<Before, Now> = { before?: Before; now?: Now };

/** Two sequences in the order of a walk as one, a batch at a time. What is out of order there finds no partner. */
export async function* joined<Before extends Placed, Now extends Placed>(
  earlier: Batches<Before>,
  later: Batches<Now>,
): AsyncGenerator<Pair<Before, Now>[]> {
  const [befores, nows] = [steps(earlier), steps(later)];
  try {
    for (let pairs: Pair<Before, Now>[] = []; ; ) {
      if (!befores.isKnown || !nows.isKnown) {
        if (pairs.length > 0) yield pairs;
        pairs = [];
        await befores.know();
        await nows.know();
      }
      const [before, now] = [befores.head, nows.head];
      if (before === undefined && now === undefined) {
        if (pairs.length > 0) yield pairs;
        return;
      }
      const order = before === undefined ? 1 : now === undefined ? -1 : comparePaths(before.path, now.path);
      if (order <= 0) befores.step();
      if (order >= 0) nows.step();
      if (before !== undefined && order < 0) pairs.push({ before });
      else if (now !== undefined && order > 0) pairs.push({ now });
      else if (before !== undefined && now !== undefined) pairs.push({ before, now });
    }
  } finally {
    await befores.close();
    await nows.close();
  }
}

function steps<Item>(batches: Batches<Item>) {
  const iterator = batches[Symbol.asyncIterator]();
  let batch: readonly Item[] = [];
  let at = 0;
  let isOver = false;
  return {
    get isKnown() {
      return isOver || at < batch.length;
    },
    async know(): Promise<void> {
      while (!this.isKnown) {
        const next = await iterator.next();
        isOver = next.done === true;
        batch = next.done === true ? [] : next.value;
        at = 0;
      }
    },
    get head(): Item | undefined {
      return batch[at];
    },
    step(): void {
      at += 1;
    },
    close: async () => void (await iterator.return?.()),
  };
}
