/** Missing values of a reference: on the left and not on the right. `unsorted` makes the comparison worthless. */
export type Comparison = { left: number; right: number; missing: number; samples: string[]; unsorted: boolean };

const MOST_SAMPLES = 5;

/** Merges two sorted streams of distinct strings; holds one value of each. */
export async function compareSorted(left: AsyncIterable<string>, right: AsyncIterable<string>): Promise<Comparison> {
  const seen: Comparison = { left: 0, right: 0, missing: 0, samples: [], unsorted: false };
  const rights = right[Symbol.asyncIterator]();
  let candidate = await rights.next();
  let before: string | undefined;
  for await (const value of left) {
    seen.left += 1;
    if (before !== undefined && codePointOrder(before, value) >= 0) seen.unsorted = true;
    before = value;
    while (candidate.done !== true && codePointOrder(candidate.value, value) < 0)
      candidate = await advance(candidate.value);
    if (candidate.done !== true && candidate.value === value) continue;
    seen.missing += 1;
    if (seen.samples.length < MOST_SAMPLES) seen.samples.push(value);
  }
  while (candidate.done !== true) candidate = await advance(candidate.value);
  return seen;

  async function advance(from: string): Promise<IteratorResult<string>> {
    seen.right += 1;
    const next = await rights.next();
    if (next.done !== true && codePointOrder(from, next.value) >= 0) seen.unsorted = true;
    return next;
  }
}

/** The order of UTF-8 bytes, which is what stores sort by: UTF-16 code units sort differently beyond the basic plane. */
export function codePointOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
