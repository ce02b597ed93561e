/** Works on the items in their order, at most so many at once. After a failure none is begun, and the first is thrown. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items[Symbol.iterator]();
  let failed = false;
  const lane = async () => {
    for (let step = next.next(); !step.done && !failed; step = next.next())
      try {
        await work(step.value);
      } catch (error) {
        failed = true;
        throw error;
      }
  };
  const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  const first = lanes.find((each) => each.status === "rejected");
  if (first !== undefined) throw first.reason;
}
