import type { TreeRecord } from "../format/tree-format.ts";
import type { ParentTree } from "./parent-tree.ts";

/** Where a file's chunks ended in an earlier backup. */
export type ChunkEnds = {
  /** The ends behind `from` up to `to`, and the first one beyond, counted from `from`. Both only ever grow. */
  between(from: number, to: number): Promise<number[]>;
};

async function* endsOf(tree: ParentTree, record: TreeRecord): AsyncGenerator<number> {
  const place = await tree.find(record.path);
  if (place === undefined || record.type !== "file" || place.hint !== record.hint) return;
  let end = 0;
  for await (const item of tree.itemsOf(place))
    if (item.item === "blocks")
      for (const { length } of item.blocks.flat()) {
        end += length;
        yield end;
      }
}

export function chunkEnds(tree: ParentTree, record: TreeRecord): ChunkEnds {
  const following = endsOf(tree, record);
  let ends: number[] = [];
  let done = false;
  return {
    async between(from, to) {
      while (!done && (ends.at(-1) ?? 0) <= to) {
        const next = await following.next();
        if (next.done) done = true;
        else ends.push(next.value);
      }
      ends = ends.filter((end) => end > from);
      const beyond = ends.findIndex((end) => end > to);
      return (beyond < 0 ? ends : ends.slice(0, beyond + 1)).map((end) => end - from);
    },
  };
}
