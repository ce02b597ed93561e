import { createHash } from "node:crypto";
import { isWithin } from "@stillpoint/driver/tree-path";
import { objectName } from "../format/kinds.ts";
import { nameKey } from "../format/pack-format.ts";
import { decodeTreeItems, type Extent, type TreeItem, type TreeRecord } from "../format/tree-format.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { joinReads, locateChunk } from "./chunk-reader.ts";
import { readChunksAnywhere } from "./other-places.ts";
import { openManifest } from "./read-tree.ts";

/**
 * What a backup says of a path. `content` is the same for the same bytes, and for others another one: of a bundled file the SHA-256
 * of its bytes, of a larger one a hash over the names of its chunks. Absent where the path has no bytes.
 */
export type FoundFile = { entry: TreeRecord; content?: string };

/** Looks for one path in backups, one after the other. Undefined: the backup says nothing of it. BACKUP_UNKNOWN. */
export type FileFinder = (backupId: string, signal?: AbortSignal) => Promise<FoundFile | undefined>;

/** Trees of one source share most of their chunks: each is read once. */
export function fileFinder(context: RepositoryContext, path: string): FileFinder {
  /** Chunks of trees that do not name the path. */
  const without = new Set<string>();
  /** By what it is made of. */
  const contents = new Map<string, string>();

  async function chunk(where: string, name: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const [read] = joinReads([await locateChunk(context, where, name, signal)]);
    const bytes = read && (await readChunksAnywhere(context, read, signal)).get(nameKey(name));
    if (bytes === undefined) throw new TypeError("unreachable: one chunk was asked for");
    return bytes;
  }

  async function itemsOf(where: string, name: string, signal?: AbortSignal): Promise<TreeItem[]> {
    return [...decodeTreeItems(where, Buffer.from(await chunk(where, Buffer.from(name, "hex"), signal)))];
  }

  async function contentOf(where: string, extents: readonly Extent[], signal?: AbortSignal): Promise<string> {
    const made = createHash("sha256");
    for (const { chunk: name, offset, length } of extents) made.update(name).update(`:${offset}:${length};`);
    const key = made.digest("hex");
    const known = contents.get(key);
    if (known !== undefined) return known;
    const [only] = extents;
    const isBundled = extents.length === 1 && only !== undefined && only.length < context.chunking.bundleBelow;
    if (isBundled) {
      // A neighbour that changed moves a file within its bundle.
      const bytes = await chunk(where, only.chunk, signal);
      const body = bytes.subarray(only.offset, only.offset + only.length);
      contents.set(key, createHash("sha256").update(body).digest("hex"));
    } else contents.set(key, key);
    return contents.get(key) ?? key;
  }

  return async (backupId, signal) => {
    const { document } = await openManifest(context, backupId, signal);
    const where = objectName("backups", backupId);
    let found: { entry: TreeRecord; extents: Extent[] } | undefined;
    let isOpen = false;
    for (const name of document.tree) {
      if (!isOpen && without.has(name)) continue;
      let names = false;
      for (const item of await itemsOf(where, name, signal)) {
        if (item.item === "entry") {
          const { entry } = item;
          isOpen = entry.path === path && entry.type !== "torn";
          // Whatever replaces a directory above it takes it away; and the last word on a path is what is restored.
          const isTaken = !isOpen && isWithin(path, entry.path) && entry.type !== "directory" && entry.type !== "torn";
          if (isOpen) found = { entry, extents: [] };
          else if (isTaken) found = { entry: { type: "deleted", path }, extents: [] };
          names ||= isOpen || isTaken;
        } else if (isOpen && item.item === "blocks") found?.extents.push(...item.blocks.flat());
      }
      if (!names) without.add(name);
    }
    if (found === undefined) return undefined;
    const { entry, extents } = found;
    return extents.length === 0 ? { entry } : { entry, content: await contentOf(where, extents, signal) };
  };
}
