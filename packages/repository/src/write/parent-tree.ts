import { StillpointError } from "@stillpoint/contracts/errors";
import type { Manifest } from "../format/documents.ts";
import { nameKey } from "../format/pack-format.ts";
import { decodeTreeItems, type TreeItem } from "../format/tree-format.ts";
import { joinReads, readChunks } from "../read/chunk-reader.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** Damage is found by a check, and told by it with all that it hurts. */
const UNREADABLE: ReadonlySet<string> = new Set(["OBJECT_DAMAGED", "OBJECT_MISSING", "OBJECT_COLD"]);

/** Where a file's items begin in a tree: which chunk of it, and which item there is the entry. */
export type FilePlace = { chunk: number; item: number; hint: string };

/** The tree of an earlier backup, read as it is asked for. */
export type ParentTree = {
  /** Plain bytes; undefined where the repository does not have them whole any more: then there is no history, and no harm. */
  chunk(name: Uint8Array): Promise<Uint8Array | undefined>;
  /** A large file that came once and whole. */
  find(path: string): Promise<FilePlace | undefined>;
  /** What follows the entry until the next one. */
  itemsOf(from: FilePlace): AsyncGenerator<Exclude<TreeItem, { item: "entry" }>>;
};

/** Files below `least` bytes are left out. */
export function parentTree(
  context: RepositoryContext,
  { tree }: Manifest,
  { where, least, signal }: { where: string; least: number; signal: AbortSignal },
): ParentTree {
  let decoded: { number: number; items: TreeItem[] } | undefined;
  let directory: Promise<Map<string, FilePlace>> | undefined;

  async function chunk(name: Uint8Array): Promise<Uint8Array | undefined> {
    const location = context.index.locate(name);
    const [read] = location === undefined ? [] : joinReads([{ name, location }]);
    try {
      return read && (await readChunks(context, read, signal)).get(nameKey(name));
    } catch (error) {
      // An earlier backup that cannot be read keeps none from being made: what it would save is saved the next time.
      if (error instanceof StillpointError && UNREADABLE.has(error.code)) return undefined;
      throw error;
    }
  }

  async function items(number: number): Promise<TreeItem[]> {
    if (decoded?.number === number) return decoded.items;
    const bytes = await chunk(Buffer.from(tree[number] ?? "", "hex"));
    const list = bytes === undefined ? [] : [...decodeTreeItems(where, Buffer.from(bytes))];
    decoded = { number, items: list };
    return list;
  }

  async function listFiles(): Promise<Map<string, FilePlace>> {
    const files = new Map<string, FilePlace>();
    for (let number = 0; number < tree.length; number++)
      (await items(number)).forEach((item, i) => {
        if (item.item !== "entry" || item.entry.type !== "file" || item.entry.size < least) return;
        // A body that was laid over a part of the file, or that came twice, says nothing about the whole.
        if (files.has(item.entry.path) || item.entry.offset !== undefined) files.delete(item.entry.path);
        else files.set(item.entry.path, { chunk: number, item: i, hint: item.entry.hint });
      });
    return files;
  }

  return {
    chunk,
    async find(path) {
      directory ??= listFiles();
      return (await directory).get(path);
    },
    async *itemsOf(from) {
      for (let number = from.chunk, first = from.item + 1; number < tree.length; number++, first = 0)
        for (const item of (await items(number)).slice(first)) {
          if (item.item === "entry") return;
          yield item;
        }
    },
  };
}
