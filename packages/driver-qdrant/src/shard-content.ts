import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { byteReader } from "./byte-reader.ts";
import { nextEntry } from "./inner-tar.ts";
import { BLOCK, renameEntry } from "./tar-header.ts";
import { COLLECTION_SNAPSHOT, type CollectionFile, shardSnapshot } from "./tree-layout.ts";

/** A snapshot as an upload takes it: read as often as it is asked for. */
export type Content = { size: number; bytes: () => AsyncIterable<Uint8Array> };

const READ_BYTES = 1 << 20;

/** A file as it is. */
export async function fileContent(path: string): Promise<Content> {
  const { size } = await stat(path);
  return { size, bytes: () => createReadStream(path, { highWaterMark: READ_BYTES }) };
}

/**
 * One shard of a collection's backup. Where the server made a snapshot of the whole, or each peer one of its part, the shard
 * is taken out of it: its folder is, but for its name, what a snapshot of the shard holds, and the log besides. A peer's part
 * can be given to no server that is alone: it refuses what has shards missing.
 */
export async function shardContent(directory: string, file: CollectionFile, shard: number): Promise<Content> {
  if (file.by === "streams") return await fileContent(join(directory, shardSnapshot(shard)));
  const part = file.snapshots?.find(({ shards }) => shards.includes(shard))?.file ?? COLLECTION_SNAPSHOT;
  const path = join(directory, part);
  const bytes = () => shardOf(path, shard);
  let size = 0;
  for await (const piece of bytes()) size += piece.byteLength;
  if (size > END.byteLength) return { size, bytes };
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "A snapshot does not hold what it should",
    where: `${file.name}, ${part}`,
    why: `shard ${shard} is not in it`,
  });
}

const END = Buffer.alloc(2 * BLOCK);

async function* shardOf(path: string, shard: number): AsyncGenerator<Uint8Array> {
  const source = createReadStream(path, { highWaterMark: READ_BYTES });
  try {
    const reader = byteReader(source[Symbol.asyncIterator]());
    const folder = `${shard}/`;
    for (;;) {
      const { name, header, bodyBytes } = await nextEntry(reader);
      if (name === "") break;
      const isWanted = name.startsWith(folder);
      if (isWanted) yield renameEntry(header, name.slice(folder.length));
      for (let left = bodyBytes; left > 0; ) {
        const piece = await reader.some(left);
        if (piece === undefined) throw new TypeError(`${path} ends within ${name}`);
        left -= piece.byteLength;
        if (isWanted) yield piece;
      }
    }
    yield END;
  } finally {
    source.destroy();
  }
}
