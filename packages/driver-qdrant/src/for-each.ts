import { Readable } from "node:stream";

/** Calls at once: enough to hide their latency, few enough not to be a load. */
const AT_ONCE = 16;

export async function forEach<Item, Result>(
  items: readonly Item[],
  signal: AbortSignal,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  return await Readable.from(items).map(act, { concurrency: AT_ONCE, signal }).toArray({ signal });
}
