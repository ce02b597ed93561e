import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { decodeBodiless } from "@stillpoint/driver/bodiless";
import type { TarEntry, TreeItem } from "@stillpoint/driver/tar-entry";
import { readTar } from "@stillpoint/driver/tar-reader";
import type { BodilessEntry } from "@stillpoint/driver/tree";
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
import { assertNotCondemned, baseGone, type EarlierFiles, earlierFiles, openEarlier } from "./earlier-files.ts";
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
  /** A backup of the same source that files may be taken over from; else a tar that asks for it is refused with BASE_GONE. */
  earlier?: string | undefined;
  /** Called as bytes are taken in; at most once for each MiB. */
  onProgress?: ((progress: WriteProgress) => void) | undefined;
};

const PROGRESS_BYTES = 1_048_576;
/** Of entries that are complete, behind one that is not. */
const MOST_WAITING = 8192;
const TREE_CHUNKS_AT_ONCE = 8;

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
  { signal, earlier, onProgress }: WriteOptions = {},
): Promise<BackupFigures> {
  const { ring, chunking, gear, pool, loader } = context;
  if ((await context.store.head(objectName("backups", head.backupId))) !== undefined) {
    await confirmBackup(context, head.backupId, signal);
    throw alreadyThere(head.backupId);
  }
  const controller = new AbortController();
  const ended = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const group = taskGroup(controller);
  const base = earlier === undefined ? undefined : await openEarlier(context, earlier, ended);
  await using writing = await beginWriting(context, {
    signal: ended,
    fail: group.fail,
    ...(base && { generation: base.document.generation }),
  });
  if (base !== undefined) assertNotCondemned(base, (await context.condemned.load(ended)).objects);
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

  const isLog = head.type === "log";
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
    const how = entry.type === "file" ? cutOf(entry.hint, entry.size, chunking, isLog) : EMPTY;
    if (how.pages !== undefined && record.type === "file" && record.size > 0) {
      history ??= findHistory();
      const open = builder.entry(record, true);
      bodies.beginPages(pages.open(how.pages, open, await (await history)?.pages.open(record, how.pages.pageBytes)));
      return bodies;
    }
    builder.entry(record);
    const isTar = !isLog && entry.type === "file" && entry.hint === "tar" && entry.size >= chunking.bundleBelow;
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

  let before: EarlierFiles | undefined;
  /** Entries without bodies of their own. Gives the bytes of the files among them. */
  async function addBodiless(entries: readonly BodilessEntry[]): Promise<number> {
    let taken = 0;
    for (const entry of entries) {
      if (entry.type !== "unchanged") {
        builder.whole(toRecord(entry), []);
        continue;
      }
      if (base === undefined) throw baseGone(head.backupId, "its ticket names no backup to take files from");
      before ??= earlierFiles(context, base, writing, ended);
      const { record, items } = await before.take(entry);
      builder.whole(record, items);
      files++;
      taken += record.size;
    }
    // A body that is still to be cut would keep all that came after it waiting.
    if (builder.waiting > MOST_WAITING) await bodies.settle();
    await tree.at(-TREE_CHUNKS_AT_ONCE);
    return taken;
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
      if (entry.type === "entries") {
        if ("file" in item) throw new TypeError("unreachable: entries without bodies come in a tar");
        for await (const some of decodeBodiless(item.body)) progress(await addBodiless(some));
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
      newBytes: sink.newBytes,
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
    await before?.close();
    sink.release();
  }
}
