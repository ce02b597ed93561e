import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import type { TarEntry, TreeItem } from "@stillpoint/driver/tar-entry";
import { readTar } from "@stillpoint/driver/tar-reader";
import { CUT } from "../chunking/cutter.ts";
import { putDocument } from "../documents-store.ts";
import { TREE_CHUNK } from "../format/chunk-type.ts";
import type { Manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { toRecord } from "../format/tree-record.ts";
import { adoptPacks } from "../index/adopt-packs.ts";
import { confirmBackup } from "../leases/confirm-backup.ts";
import { beginWriting } from "../leases/writing.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { abortable, untilAborted } from "./abortable.ts";
import { cutOf, EMPTY } from "./body-cuts.ts";
import { bodyWriter } from "./body-writer.ts";
import { chunkEnds } from "./chunk-ends.ts";
import { chunkSink } from "./chunk-sink.ts";
import { findParent } from "./find-parent.ts";
import { hashLists } from "./hash-lists.ts";
import { innerTar } from "./inner-tar.ts";
import { type PageHistory, pageHistory } from "./page-history.ts";
import { pageWriter } from "./page-writer.ts";
import { type ParentTree, parentTree } from "./parent-tree.ts";
import { taskGroup } from "./task-group.ts";
import { treeBuilder } from "./tree-builder.ts";

/** `log`: where it is known beforehand; a tar that says another is refused. */
export type BackupHead = Pick<
  BackupFigures,
  "backupId" | "plan" | "source" | "kind" | "type" | "runId" | "startedAt" | "log"
>;
export type WriteProgress = { bytes: number; storedBytes: number; files: number };
export type WriteOptions = {
  signal?: AbortSignal | undefined;
  /** Called as bytes are taken in; at most once for each MiB. */
  onProgress?: ((progress: WriteProgress) => void) | undefined;
};

const PROGRESS_BYTES = 1_048_576;

function alreadyThere(backupId: string): StillpointError {
  return new StillpointError("OBJECT_EXISTS", {
    what: "Did not write a backup",
    where: objectName("backups", backupId),
    why: "there is one of this id already, and it counts",
  });
}

function becameShorter(path: string): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "Did not write a backup",
    where: path,
    why: "the file became shorter while it was read",
  });
}

function otherLog(where: string): StillpointError {
  return new StillpointError("TAR_INVALID", {
    what: "Did not write a backup",
    where,
    why: "its tar says that it holds another stretch of the log than was asked for",
  });
}

/** An entry with its bytes: as they come, or those of a file of this machine. */
export type BackupItem = { entry: TarEntry; body: AsyncIterable<Uint8Array> } | { entry: TarEntry; file: string };

/** Takes one tar. */
export function writeBackup(
  context: RepositoryContext,
  head: BackupHead,
  tar: AsyncIterable<Uint8Array>,
  options?: WriteOptions,
): Promise<BackupFigures> {
  return writeItems(context, head, (signal) => readTar(untilAborted(tar, signal)), options);
}

/**
 * Takes entries. Packs, then index, then manifest: the backup is there when the last of them is, and before that it is
 * nowhere.
 */
export async function writeItems(
  context: RepositoryContext,
  head: BackupHead,
  items: (signal: AbortSignal) => AsyncIterable<BackupItem>,
  { signal, onProgress }: WriteOptions = {},
): Promise<BackupFigures> {
  const { ring, chunking, gear, pool, loader } = context;
  if ((await context.store.head(objectName("backups", head.backupId))) !== undefined) {
    await confirmBackup(context, head.backupId, signal);
    throw alreadyThere(head.backupId);
  }
  const controller = new AbortController();
  const ended = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const group = taskGroup(controller);
  await using writing = await beginWriting(context, { signal: ended, fail: group.fail });
  await loader.load(signal);
  // What is condemned is known by now: a pack that is about to be swept must not be listed again.
  await adoptPacks(context, signal);
  const sink = chunkSink({
    ...context,
    keys: ring.epochs,
    group,
    writing,
    signal: ended,
  });
  const storeTree = (chunk: Uint8Array): Promise<Uint8Array> => {
    const memory = new SharedArrayBuffer(chunk.length);
    new Uint8Array(memory).set(chunk);
    const named = sink.add(memory, [{ start: 0, length: chunk.length }], TREE_CHUNK, () => undefined);
    return named.then(([name = new Uint8Array(0)]) => name);
  };

  const tree: Promise<string>[] = [];
  const checksum = createHash("sha256");
  let treeBytes = 0;
  const builder = treeBuilder(gear, (chunk) => {
    checksum.update(chunk);
    treeBytes += chunk.length;
    tree.push(storeTree(chunk).then((name) => Buffer.from(name).toString("hex")));
    tree.at(-1)?.catch(group.fail);
  });
  const lists = hashLists(storeTree);
  const pages = pageWriter({ pool, sink, lists, builder, fail: group.fail });
  const bodies = bodyWriter({
    pool,
    sink,
    pages,
    group,
    signal: ended,
    slabs: context.slabs.share(),
    room: context.uploads.room,
    chunk: builder.chunk,
    short: (path) => group.fail(becameShorter(path)),
  });

  let history: Promise<{ tree: ParentTree; pages: PageHistory } | undefined> | undefined;
  async function findHistory(): Promise<{ tree: ParentTree; pages: PageHistory } | undefined> {
    const parent = await findParent(context, head, ended);
    if (parent === undefined) return undefined;
    const where = objectName("backups", parent.backupId);
    const tree = parentTree(context, parent.document, { where, least: chunking.bundleBelow, signal: ended });
    return { tree, pages: pageHistory(tree) };
  }

  /** Where the bytes of an entry go. */
  async function begin(entry: TreeItem): Promise<Pick<typeof bodies, "write" | "end">> {
    const record = toRecord(entry);
    const how = entry.type === "file" ? cutOf(entry.hint, entry.size, chunking) : EMPTY;
    if (how.pages !== undefined && record.type === "file" && record.size > 0) {
      history ??= findHistory();
      const open = builder.entry(record, true);
      bodies.beginPages(pages.open(how.pages, open, await (await history)?.pages.open(record, how.pages.pageBytes)));
      return bodies;
    }
    builder.entry(record);
    const isTar = entry.type === "file" && entry.hint === "tar" && entry.size >= chunking.bundleBelow;
    if (isTar) {
      const inner = innerTar(bodies, chunking);
      inner.begin();
      return inner;
    }
    const cut = how.pages === undefined ? how.cut : CUT.bundle;
    if (cut === CUT.content) history ??= findHistory();
    const before = cut === CUT.content ? await history : undefined;
    bodies.begin({ cut, ...(before && { ends: chunkEnds(before.tree, record) }) });
    return bodies;
  }

  let log: LogRange | undefined = head.log;
  let bytes = 0;
  let files = 0;
  let told = 0;
  const progress = (more: number) => {
    bytes += more;
    if (bytes - told < PROGRESS_BYTES) return;
    told = bytes;
    onProgress?.({ bytes, storedBytes: sink.storedBytes, files });
  };
  try {
    for await (const item of items(ended)) {
      ended.throwIfAborted();
      const { entry } = item;
      if (entry.type === "log") {
        if (head.log !== undefined && !isDeepStrictEqual(entry.range, head.log)) throw otherLog(head.backupId);
        log = entry.range;
        continue;
      }
      const target = await begin(entry);
      if ("file" in item) {
        const size = entry.type === "file" ? entry.size : 0;
        await bodies.writeFile(item.file, size);
        progress(size);
      } else
        for await (const part of item.body) {
          await target.write(part);
          progress(part.length);
        }
      await target.end();
      if (entry.type === "file") files++;
    }
    await bodies.finish();
    lists.flush();
    await abortable(builder.ended(), ended);
    builder.end();
    const names = await Promise.all(tree);
    await sink.end();
    const figures: BackupFigures = {
      ...head,
      bytes,
      storedBytes: sink.storedBytes,
      files,
      checksum: checksum.digest("hex"),
      ...(log === undefined ? {} : { log }),
      finishedAt: toInstant(context.now()),
    };
    const { newest: generation } = await writing.settle();
    const manifest: Manifest = { figures, epoch: ring.epochs.current, tree: names, treeBytes, generation };
    ended.throwIfAborted();
    if (!(await putDocument(context, "backups", head.backupId, manifest, signal))) throw alreadyThere(head.backupId);
    await writing.confirm();
    context.newest.set(head);
    onProgress?.({ bytes, storedBytes: sink.storedBytes, files });
    return figures;
  } catch (error) {
    group.fail(error);
    await group.ended();
    group.check();
    throw error;
  } finally {
    sink.release();
  }
}
