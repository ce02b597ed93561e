import { directoryTree, type OpenFile } from "@stillpoint/driver/directory-tree";
import type { TreeEntry } from "@stillpoint/driver/tree";
import { isWithin } from "@stillpoint/driver/tree-path";
import { objectName } from "../format/kinds.ts";
import type { Extent } from "../format/tree-format.ts";
import { toEntry } from "../format/tree-record.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { normalPath, pathMissing, type ReadOptions } from "./read-backup.ts";
import { manifestToRead, readTree } from "./read-tree.ts";
import { removeOthers } from "./remove-others.ts";
import { type Batch, emptyBatch, restoreBatch } from "./restore-batch.ts";

export type RestoreOptions = ReadOptions & {
  /** Give files the owners that they had. Possible for root only, and its default. */
  keepOwners?: boolean;
  /** Files that are there keep what is right already: only what differs is written. Else they are made anew. */
  compare?: boolean;
  /** What the directory holds beside the backup is taken away at the end. */
  exact?: boolean;
  /** Told once, at the end, in words, of what could not be given to files here. */
  refused?: ((what: string) => void) | undefined;
  /** Bytes of files that came to their place since the last call. */
  onProgress?: (bytes: number) => void;
};
/** `bytes` of files; `writtenBytes` of them were not there before. */
export type RestoreFigures = {
  files: number;
  directories: number;
  symlinks: number;
  deleted: number;
  bytes: number;
  writtenBytes: number;
  /** Files whose last entry was torn, and which nothing replaced. */
  torn: string[];
};

type FileEntry = Extract<TreeEntry, { type: "file" }>;
type Current = { entry: FileEntry; at: number; open?: { file: OpenFile; left: number } };

/** Bytes of pieces that are planned together: the order of reads is that of packs within them. */
const BATCH_BYTES = 64 * 1024 * 1024;
const BATCH_PIECES = 16_384;
/** Files that a batch may hold open. */
const BATCH_FILES = 128;
const BATCHES_AT_ONCE = 2;
/** Links that wait for what they lead to. */
const MOST_LINKS = 10_000;

/**
 * Restores a backup, or a part of it, into a directory that exists, over what is there: each chunk is read once for all files
 * that need it in the stretch that is under way, and goes from the pack to its places in one thread.
 */
export async function restoreFiles(
  context: RepositoryContext,
  backupId: string,
  directory: string,
  options: RestoreOptions = {},
): Promise<RestoreFigures> {
  const { compare = false, exact = false, onProgress } = options;
  const path = normalPath(options.path);
  const { document } = await manifestToRead(context, backupId, options.signal);
  const { keepOwners, refused } = options;
  const tree = directoryTree(directory, { refused, ...(keepOwners === undefined ? {} : { keepOwners }) });
  const controller = new AbortController();
  const { signal } = controller;
  const ended = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
  const figures = { files: 0, directories: 0, symlinks: 0, deleted: 0, bytes: 0, writtenBytes: 0 };
  const torn = new Set<string>();
  /** Every path that is there in the end; kept where it is asked for only, for there may be millions. */
  const paths = new Set<string>();
  const running: Promise<void>[] = [];
  /** Files that lack bytes. */
  const unfinished = new Map<string, OpenFile | undefined>();
  /** Paths of this backup that others may be links of; the links that are to be made; and what these lead to. */
  const linkable = new Set<string>();
  const links = new Map<string, FileEntry & { link: string }>();
  const linked = new Set<string>();
  let batch: Batch = emptyBatch();
  let filesInBatch = 0;
  let current: Current | undefined;
  let found = path === undefined;

  async function dispatch(): Promise<void> {
    if (batch.bytes === 0) return;
    const full = batch;
    batch = emptyBatch();
    filesInBatch = 0;
    const work = restoreBatch(context, objectName("backups", backupId), full, { compare, signal: ended });
    const done = work.then((writtenBytes) => {
      figures.writtenBytes += writtenBytes;
      figures.bytes += full.bytes;
      onProgress?.(full.bytes);
    });
    done.catch(() => undefined); // thrown where it is awaited
    running.push(done);
    while (running.length > BATCHES_AT_ONCE) await running.shift();
  }

  /** What came before is in its place when it resolves. */
  async function settle(): Promise<void> {
    await dispatch();
    for (const done of running.splice(0)) await done;
    for (const entry of links.values()) {
      await tree.addLink(entry);
      figures.bytes += entry.size;
    }
    links.clear();
    linked.clear();
  }

  async function pieces(file: Current, extents: readonly Extent[]): Promise<void> {
    const { entry } = file;
    const [only] = extents;
    const isWhole = file.at === 0 && entry.offset === undefined && only?.length === entry.size;
    // Whoever opens it here gives it its attributes.
    if (only !== undefined && isWhole && entry.xattrs === undefined) {
      const place = await tree.placeFor(entry);
      file.at += only.length;
      unfinished.set(entry.path, undefined);
      batch.add(only, { file: place }, async () => void unfinished.delete(entry.path));
      return;
    }
    if (file.open === undefined) {
      const opened = await tree.openFile(entry, compare);
      file.open = { file: opened, left: entry.size };
      unfinished.set(entry.path, opened);
      filesInBatch++;
    }
    const target = file.open;
    for (const extent of extents) {
      const at = (entry.offset ?? 0) + file.at;
      file.at += extent.length;
      const { path, sparse } = entry;
      batch.add(extent, { fd: target.file.fd, at, path, ...(sparse && { sparse }) }, async () => {
        target.left -= extent.length;
        if (target.left > 0) return;
        unfinished.delete(entry.path);
        await target.file.finish();
      });
    }
  }

  async function add(entry: TreeEntry): Promise<void> {
    const isPlain = entry.type !== "deleted" && (entry.type !== "file" || entry.offset === undefined);
    if (!isPlain || unfinished.has(entry.path) || links.has(entry.path) || linked.has(entry.path)) await settle();
    linkable.delete(entry.path);
    torn.delete(entry.path);
    if (exact && entry.type !== "deleted") paths.add(entry.path);
    if (entry.type === "deleted") figures.deleted++;
    else figures[entry.type === "directory" ? "directories" : entry.type === "file" ? "files" : "symlinks"]++;
    if (entry.type === "file" && entry.link !== undefined && entry.link !== entry.path && linkable.has(entry.link)) {
      links.set(entry.path, { ...entry, link: entry.link });
      linked.add(entry.link);
      if (links.size >= MOST_LINKS) await settle();
      return;
    }
    if (entry.type === "file" && entry.link === entry.path) linkable.add(entry.path);
    if (entry.type !== "file" || entry.size === 0) await tree.add(entry);
    else current = { entry, at: 0 };
  }

  try {
    for await (const item of readTree(context, backupId, document, ended)) {
      ended.throwIfAborted();
      if (item.item === "entry") {
        current = undefined;
        const entry = toEntry(item.entry);
        if (path !== undefined && !isWithin(entry.path, path)) {
          // Whatever replaces a directory above it takes the subtree away.
          const replaced = isWithin(path, entry.path) && entry.type !== "directory" && entry.type !== "torn";
          if (replaced) await add({ type: "deleted", path });
          continue;
        }
        found = true;
        if (entry.type === "torn") torn.add(entry.path);
        else await add(entry);
      } else if (item.item === "blocks" && current !== undefined)
        for (const block of item.blocks) {
          await pieces(current, block);
          if (batch.bytes >= BATCH_BYTES || batch.pieces >= BATCH_PIECES || filesInBatch >= BATCH_FILES)
            await dispatch();
        }
    }
    if (!found && path !== undefined) throw pathMissing(path, backupId);
    await settle();
    if (exact) await removeOthers(directory, paths);
    await tree.finish();
    return { ...figures, torn: [...torn] };
  } finally {
    controller.abort();
    await Promise.allSettled(running);
    for (const file of unfinished.values()) await file?.close();
    await tree.close();
  }
}
