import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { readTar } from "@stillpoint/driver/tar-reader";
import { putDocument } from "../documents-store.ts";
import { TREE_CHUNK } from "../format/chunk-type.ts";
import type { Manifest } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { toRecord } from "../format/tree-record.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { untilAborted } from "./abortable.ts";
import { cutOf, EMPTY } from "./body-cuts.ts";
import { bodyWriter } from "./body-writer.ts";
import { chunkSink } from "./chunk-sink.ts";
import { innerTar } from "./inner-tar.ts";
import { taskGroup } from "./task-group.ts";
import { treeBuilder } from "./tree-builder.ts";

export type BackupHead = Pick<BackupFigures, "backupId" | "plan" | "source" | "kind" | "type" | "runId" | "startedAt">;
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

/**
 * Takes one tar. Packs, then index, then manifest: the backup is there when the last of them is, and before that it is
 * nowhere.
 */
export async function writeBackup(
  context: RepositoryContext,
  head: BackupHead,
  tar: AsyncIterable<Uint8Array>,
  { signal, onProgress }: WriteOptions = {},
): Promise<BackupFigures> {
  const { ring, chunking, gear, pool, loader } = context;
  if ((await context.store.head(objectName("backups", head.backupId))) !== undefined) throw alreadyThere(head.backupId);
  await loader.load(signal);
  const controller = new AbortController();
  const ended = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const group = taskGroup(controller);
  const sink = chunkSink({
    ...context,
    keys: ring.epochs,
    indexWritten: loader.mark,
    group,
    signal: ended,
  });

  const tree: Promise<string>[] = [];
  const checksum = createHash("sha256");
  let treeBytes = 0;
  const builder = treeBuilder(gear, (chunk) => {
    checksum.update(chunk);
    treeBytes += chunk.length;
    const memory = new SharedArrayBuffer(chunk.length);
    new Uint8Array(memory).set(chunk);
    const named = sink.add(memory, [{ start: 0, length: chunk.length }], TREE_CHUNK, () => undefined);
    named.catch(group.fail);
    tree.push(named.then(([name]) => Buffer.from(name ?? []).toString("hex")));
    tree.at(-1)?.catch(group.fail);
  });
  const bodies = bodyWriter({
    chunking,
    pool,
    sink,
    group,
    signal: ended,
    slabs: context.slabs.share(),
    room: context.uploads.room,
    chunk: builder.chunk,
  });

  let bytes = 0;
  let files = 0;
  let told = 0;
  try {
    for await (const { entry, body } of readTar(untilAborted(tar, ended))) {
      ended.throwIfAborted();
      builder.entry(toRecord(entry));
      const isTar = entry.type === "file" && entry.hint === "tar" && entry.size >= chunking.bundleBelow;
      const target = isTar ? innerTar(bodies, chunking) : bodies;
      target.begin(entry.type === "file" ? cutOf(entry.hint, entry.size, chunking) : EMPTY);
      for await (const part of body) {
        await target.write(part);
        bytes += part.length;
        if (bytes - told < PROGRESS_BYTES) continue;
        told = bytes;
        onProgress?.({ bytes, storedBytes: sink.storedBytes, files });
      }
      await target.end();
      if (entry.type === "file") files++;
    }
    await bodies.finish();
    builder.end();
    const names = await Promise.all(tree);
    await sink.end();
    const figures: BackupFigures = {
      ...head,
      bytes,
      storedBytes: sink.storedBytes,
      files,
      checksum: checksum.digest("hex"),
      finishedAt: toInstant(context.now()),
    };
    const manifest: Manifest = { figures, epoch: ring.epochs.current, tree: names, treeBytes };
    ended.throwIfAborted();
    if (!(await putDocument(context, "backups", head.backupId, manifest, signal))) throw alreadyThere(head.backupId);
    onProgress?.({ bytes, storedBytes: sink.storedBytes, files });
    return figures;
  } catch (error) {
    group.fail(error);
    await group.ended();
    group.check();
    throw error;
  }
}
