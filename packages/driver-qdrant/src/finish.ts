import { StillpointError } from "@stillpoint/contracts/errors";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { type CollectionSnapshot, downloadSnapshot } from "./collection-snapshot.ts";
import type { Fixed } from "./fixed.ts";
import { formatJson } from "./json.ts";
import type { ShardStream } from "./shard-stream.ts";
import { type Part, shardParts } from "./shard-tar.ts";
import {
  ALIASES_FILE,
  COLLECTION_SNAPSHOT,
  COLLECTIONS,
  CONFIG_FILE,
  type CollectionFile,
  collectionFolder,
  peerSnapshot,
  shardSnapshot,
} from "./tree-layout.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Everything that the mark fixed, as entries of a tree. Streams can be read once; a failure leaves nothing to go on with. */
export async function writeFixed(
  fixed: Fixed,
  tree: TreeWriter,
  { mtimeMs, signal }: { mtimeMs: number; signal: AbortSignal },
): Promise<void> {
  const json = async (path: string, value: unknown) => {
    const content = Buffer.from(`${formatJson(value)}\n`);
    const entry = { type: "file", path, mode: FILE_MODE, mtimeMs, size: content.byteLength, hint: "content" } as const;
    await tree.add(entry, only(content));
  };
  const directory = async (path: string) => {
    await tree.add({ type: "directory", path, mode: DIRECTORY_MODE, mtimeMs });
  };
  await json(ALIASES_FILE, fixed.inventory.aliases);
  await directory(COLLECTIONS);
  const bySnapshot = Map.groupBy(fixed.snapshots, ({ collection }) => collection);
  const written: { snapshot: CollectionSnapshot; path: string }[] = [];
  for (const { name, config, payloadSchema, shards } of fixed.inventory.collections) {
    const snapshots = bySnapshot.get(name) ?? [];
    const by = snapshots.length > 0 ? "snapshot" : "streams";
    await directory(collectionFolder(name));
    const parts = snapshots.map((snapshot, at) => ({
      snapshot,
      file: snapshots.length === 1 ? COLLECTION_SNAPSHOT : peerSnapshot(at),
      shards: shards.filter(({ peer }) => peer === snapshot.peer).map(({ id }) => id),
    }));
    for (const { snapshot, file } of parts) written.push({ snapshot, path: `${collectionFolder(name)}/${file}` });
    await json(`${collectionFolder(name)}/${CONFIG_FILE}`, {
      name,
      config,
      payloadSchema,
      by,
      shards: shards.map(({ id }) => id),
      ...(parts.length > 1 ? { snapshots: parts.map(({ file, shards: ids }) => ({ file, shards: ids })) } : {}),
    } satisfies CollectionFile);
  }
  await writeStreams(fixed.streams, tree, mtimeMs);
  for (const { snapshot, path } of written) await writeSnapshot(snapshot, path, tree, mtimeMs, signal);
}

/** The shards in turns, a part of each: one that nobody reads for minutes is cut off by newer servers. */
async function writeStreams(streams: readonly ShardStream[], tree: TreeWriter, mtimeMs: number): Promise<void> {
  let open = streams.map((stream) => ({
    path: `${collectionFolder(stream.collection)}/${shardSnapshot(stream.shard)}`,
    parts: shardParts(stream.bytes()),
    offset: 0,
  }));
  while (open.length > 0) {
    for (const shard of open) {
      const next = await shard.parts.next();
      if (next.done === true) {
        open = open.filter((each) => each !== shard);
        continue;
      }
      await writePart(tree, shard.path, shard.offset, next.value, mtimeMs);
      shard.offset += next.value.size;
    }
  }
  await Promise.all(streams.map((stream) => stream.close()));
}

async function writePart(tree: TreeWriter, path: string, offset: number, part: Part, mtimeMs: number): Promise<void> {
  const { torn } = await tree.add(
    {
      type: "file",
      path,
      mode: FILE_MODE,
      mtimeMs,
      size: part.size,
      hint: part.hint,
      ...(offset > 0 ? { offset } : {}),
    },
    part.body,
  );
  if (torn) throw lost(path, "it ended before it was whole");
}

async function writeSnapshot(
  snapshot: CollectionSnapshot,
  path: string,
  tree: TreeWriter,
  mtimeMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { torn } = await tree.add(
    { type: "file", path, mode: FILE_MODE, mtimeMs, size: snapshot.bytes, hint: "tar" },
    downloadSnapshot(snapshot, signal),
  );
  if (torn) throw lost(path, `it is not ${snapshot.bytes} bytes long, as the server said`);
}

async function* only(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}

function lost(where: string, why: string): StillpointError {
  return new StillpointError("SOURCE_LOST", { what: "Cannot read a snapshot to its end", where, why });
}
