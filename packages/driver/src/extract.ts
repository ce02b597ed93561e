import { StillpointError } from "@stillpoint/contracts/errors";
import { type DirectoryTreeOptions, directoryTree } from "./directory-tree.ts";
import type { TreeItem } from "./tar-entry.ts";
import { readTar, type TarItem } from "./tar-reader.ts";
import type { TreeEntry } from "./tree.ts";
import { checkTreePath, isWithin } from "./tree-path.ts";

export type TreeFigures = {
  files: number;
  directories: number;
  symlinks: number;
  deleted: number;
  bytes: number;
  /** Files whose last entry was torn, and which nothing replaced. */
  torn: string[];
};

export type ExtractOptions = DirectoryTreeOptions & {
  /** Only this path and what is below it; it keeps its place in the destination. */
  path?: string;
};

/** Extracts a tar over a directory, which exists. See `directoryTree` for what is refused. */
export async function extractTar(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  options: ExtractOptions = {},
): Promise<TreeFigures> {
  const tree = directoryTree(directory, options);
  try {
    const figures = await visit(readTar(source), options.path, async (entry, body) => {
      await tree.add(entry, body);
    });
    await tree.finish();
    return figures;
  } finally {
    await tree.close();
  }
}

/** Reads a tar to its end without writing anything; `each` hears of every entry that counts. */
export async function listTar(
  source: AsyncIterable<Uint8Array>,
  each: (entry: TreeEntry) => void = () => undefined,
  options: { path?: string } = {},
): Promise<TreeFigures> {
  return await visit(readTar(source), options.path, async (entry) => each(entry));
}

async function visit(
  items: AsyncIterable<TarItem>,
  path: string | undefined,
  take: (entry: TreeEntry, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<TreeFigures> {
  if (path !== undefined) checkTreePath(path);
  const figures = { files: 0, directories: 0, symlinks: 0, deleted: 0, bytes: 0 };
  const torn = new Set<string>();
  for await (const { entry: found, body } of items) {
    if (found.type === "log") continue;
    if (found.type === "entries") throw needsRepository(found.path);
    const entry = path === undefined ? found : narrow(found, path);
    if (entry === undefined) continue;
    if (entry.type === "torn") {
      torn.add(entry.path);
      continue;
    }
    torn.delete(entry.path);
    await take(entry, body);
    if (entry.type === "file") figures.bytes += entry.size;
    if (entry.type === "deleted") figures.deleted += 1;
    else figures[entry.type === "directory" ? "directories" : entry.type === "file" ? "files" : "symlinks"] += 1;
  }
  return { ...figures, torn: [...torn] };
}

/** What an entry means for the subtree alone: whatever replaces a directory above it takes the subtree away. */
function narrow(entry: TreeItem, path: string): TreeItem | undefined {
  if (isWithin(entry.path, path)) return entry;
  if (isWithin(path, entry.path) && entry.type !== "directory" && entry.type !== "torn") {
    return { type: "deleted", path };
  }
  return undefined;
}

function needsRepository(where: string): StillpointError {
  return new StillpointError("TAR_INVALID", {
    what: "Cannot extract a tar",
    where,
    why: "it speaks of files that are in an earlier backup: only a repository can take it",
  });
}
