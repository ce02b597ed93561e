import { StillpointError } from "@stillpoint/contracts/errors";
import { diskError } from "@stillpoint/driver/disk-error";
import { objectDamaged } from "../format/damage.ts";
import { packName } from "../format/kinds.ts";
import { packKeyOf } from "../format/pack-format.ts";
import type { Extent } from "../format/tree-format.ts";
import { readVerified } from "../replicas/other-copies.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { ownMemory } from "../workers/own-memory.ts";
import type { RestorePiece, RestoreResult, RestoreTask } from "../workers/tasks.ts";
import { joinReads, locateChunk, type Read, type WantedChunk } from "./chunk-reader.ts";
import { readWhereverItLies } from "./other-places.ts";

type Piece = RestorePiece & { done: () => Promise<void> };
type Wanted = { name: Uint8Array; pieces: Piece[] };

/** Pieces of files, by the chunks that they are read from. */
export type Batch = {
  bytes: number;
  pieces: number;
  chunks: Map<string, Wanted>;
  /** `done` is called once the piece is in its place. */
  add(
    extent: Extent,
    place:
      | { fd: number; at: number; path: string; sparse?: true }
      | { file: Extract<RestorePiece, { file: unknown }>["file"] },
    done: () => Promise<void>,
  ): void;
};

export function emptyBatch(): Batch {
  const chunks = new Map<string, Wanted>();
  return {
    bytes: 0,
    pieces: 0,
    chunks,
    add({ chunk, offset, length }, place, done) {
      this.bytes += length;
      this.pieces++;
      const key = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
      const wanted = chunks.get(key) ?? { name: chunk, pieces: [] };
      chunks.set(key, wanted);
      wanted.pieces.push({ offset, length, ...place, done });
    },
  };
}

type Options = { compare: boolean; signal: AbortSignal };

const SAME_BYTES = 4 * 1024 * 1024;

/** Chunks of which a file holds all bytes in their place already need not be read. */
async function leaveOutSame(context: RepositoryContext, wanted: readonly Planned[]): Promise<Planned[]> {
  const candidates = wanted.filter(
    ({ pieces: [piece, more] }) => piece !== undefined && "fd" in piece && more === undefined && piece.offset === 0,
  );
  const same = new Set<Planned>();
  const groups = Map.groupBy(candidates, ({ location }) => location.epoch);
  for (const [epoch, all] of groups)
    for (let at = 0; at < all.length; ) {
      const from = at;
      for (let bytes = 0; at < all.length && bytes < SAME_BYTES; at++) bytes += all[at]?.pieces[0]?.length ?? 0;
      const part = all.slice(from, at);
      const stretches = part.flatMap(({ name, location, pieces: [piece] }) =>
        piece !== undefined && "fd" in piece
          ? [{ fd: piece.fd, at: piece.at, length: piece.length, name, type: location.type }]
          : [],
      );
      const result = await context.pool.run({ task: "same", stretches, epoch });
      part.forEach((each, i) => {
        if (result.same[i]) same.add(each);
      });
    }
  for (const { pieces } of same) for (const { done } of pieces) await done();
  return wanted.filter((each) => !same.has(each));
}

type Planned = WantedChunk & { pieces: Piece[] };

function taskOf(context: RepositoryContext, read: Read<Planned>, compare: boolean) {
  const epoch = read.chunks[0]?.location.epoch ?? 0;
  return (range: RestoreTask["range"]): RestoreTask => ({
    task: "restore",
    range,
    chunks: read.chunks.map(({ name, location, pieces }) => ({
      start: location.offset - read.offset,
      length: location.length,
      position: location.position,
      type: location.type,
      name,
      pieces: pieces.map(({ done, ...piece }) => piece),
    })),
    ...packKeyOf(packName(read.packId), epoch, context.ring.epochs),
    epoch,
    compare,
  });
}

function failureOf({ path, code, message }: NonNullable<RestoreResult["failure"]>): unknown {
  const cause = diskError(Object.assign(new Error(message), { code }), path);
  if (cause instanceof StillpointError) return cause;
  return new StillpointError("INTERNAL", { what: "Cannot write a file", where: path, why: message, cause });
}

/** Reads one range and writes what files need of it; from another copy where this one is damaged. */
async function restoreRead(context: RepositoryContext, read: Read<Planned>, { compare, signal }: Options) {
  const object = packName(read.packId);
  const make = taskOf(context, read, compare);
  const { offset, length } = read;
  const path = context.store.fileOf?.(object);
  if (path !== undefined) {
    const result = await context.pool.run(make({ path, offset, length }));
    if (result.failure !== undefined) throw failureOf(result.failure);
    if (result.damage === undefined) return result.writtenBytes;
    // Once more by the store, which tries again and knows of other copies.
  }
  return await readVerified(context.store, object, async (store) => {
    const range = await store.get(object, { offset, length }, signal).catch((error: unknown) => {
      if (error instanceof StillpointError && error.code === "OBJECT_MISSING")
        throw objectDamaged(object, "the object is missing", error);
      throw error;
    });
    const result = await context.pool.run(make(range), ownMemory(range));
    if (result.failure !== undefined) throw failureOf(result.failure);
    if (result.damage !== undefined) throw objectDamaged(object, result.damage);
    return result.writtenBytes;
  });
}

/** Bytes that were written. `where` names the object that asks, should a chunk not be in the index. */
export async function restoreBatch(
  context: RepositoryContext,
  where: string,
  batch: Batch,
  options: Options,
): Promise<number> {
  let planned: Planned[] = [];
  for (const { name, pieces } of batch.chunks.values())
    planned.push({ ...(await locateChunk(context, where, name, options.signal)), pieces });
  if (options.compare) planned = await leaveOutSame(context, planned);
  let writtenBytes = 0;
  const results = await Promise.allSettled(
    joinReads(planned).map((read) =>
      context.reads.run(read.length, async () => {
        options.signal.throwIfAborted();
        const restore = (some: Read<Planned>) => restoreRead(context, some, options);
        const parts = await readWhereverItLies(context, read, restore, options.signal);
        for (const written of parts) writtenBytes += written;
        for (const { pieces } of read.chunks) for (const { done } of pieces) await done();
      }),
    ),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return writtenBytes;
}
