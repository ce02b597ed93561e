/**
 * Leaves out what the failure does not need: halves first, then ever smaller parts, until no single one can go or so many
 * tries were made. What is left fails.
 */
export async function shrink<Item>(
  items: readonly Item[],
  fails: (items: readonly Item[]) => Promise<boolean>,
  mostTries: number,
): Promise<readonly Item[]> {
  let left = items;
  let tries = 0;
  for (let size = Math.ceil(left.length / 2); size >= 1; ) {
    let shrunk = false;
    for (let at = 0; at < left.length && tries < mostTries; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      tries++;
      if (await fails(without)) {
        left = without;
        shrunk = true;
      } else at += size;
    }
    if (tries >= mostTries) break;
    if (size > 1) size = Math.ceil(size / 2);
    else if (!shrunk) break;
  }
  return left;
}
