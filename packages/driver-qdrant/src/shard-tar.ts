import type { ChunkHint } from "@stillpoint/driver/tree";
import { type ByteReader, byteReader } from "./byte-reader.ts";
import { type InnerEntry, nextEntry, torn } from "./inner-tar.ts";

/** A run of a shard's tar whose length is known before its bytes are: what an entry of a backup's tree can hold. */
export type Part = { size: number; hint: ChunkHint; body: AsyncIterable<Uint8Array> };

/** The last two entries of a whole shard, in this order. A server that fails in the middle ends its stream without them. */
const LAST_ENTRIES = ["replica_state.json", "shard_config.json"];

export type PartSizes = {
  /** Entries up to this size are put together in memory. */
  joinedUpToBytes: number;
  /** Memory for these. */
  groupBytes: number;
  /** A longer entry is sent in parts of this size, so that the other shards' streams are not left waiting. */
  pieceBytes: number;
};

export const PART_SIZES: PartSizes = { joinedUpToBytes: 1 << 20, groupBytes: 4 << 20, pieceBytes: 16 << 20 };

/**
 * A shard's tar in parts that begin where an inner entry begins, or at a fixed distance from there: an unchanged file
 * inside gives the same chunks wherever it lies. A stream has no length in advance, its entries have. Throws SOURCE_LOST
 * where the tar is not whole; the parts before are worth nothing then.
 */
export async function* shardParts(
  source: AsyncIterator<Uint8Array>,
  sizes: PartSizes = PART_SIZES,
): AsyncGenerator<Part> {
  const reader = byteReader(source);
  const lastNames: string[] = [];
  let group: Buffer[] = [];
  let grouped = 0;
  const join = (bytes: Buffer) => {
    group.push(bytes);
    grouped += bytes.byteLength;
  };
  function* takeGroup(): Generator<Part> {
    if (grouped > 0) yield { size: grouped, hint: "tar", body: iterate(group) };
    group = [];
    grouped = 0;
  }

  for (;;) {
    const entry = await nextEntry(reader);
    if (entry.name === "") {
      checkEnd(lastNames);
      join(entry.header);
      yield* takeGroup();
      return;
    }
    lastNames.push(entry.name);
    if (lastNames.length > LAST_ENTRIES.length) lastNames.shift();
    const size = entry.header.byteLength + entry.bodyBytes;
    if (size <= sizes.joinedUpToBytes) {
      join(entry.header);
      join(await bodyOf(reader, entry));
      if (grouped >= sizes.groupBytes) yield* takeGroup();
    } else {
      yield* takeGroup();
      yield* piecesOf(reader, entry, sizes.pieceBytes);
    }
  }
}

async function* piecesOf(reader: ByteReader, entry: InnerEntry, pieceBytes: number): AsyncGenerator<Part> {
  const first = Math.min(entry.bodyBytes, Math.max(0, pieceBytes - entry.header.byteLength));
  yield { size: entry.header.byteLength + first, hint: "tar", body: chain(entry.header, stream(reader, first)) };
  for (let left = entry.bodyBytes - first; left > 0; left -= Math.min(left, pieceBytes)) {
    const size = Math.min(left, pieceBytes);
    yield { size, hint: "content", body: stream(reader, size) };
  }
}

async function bodyOf(reader: ByteReader, entry: InnerEntry): Promise<Buffer> {
  const body = await reader.take(entry.bodyBytes);
  if (body === undefined) throw torn(`the stream ended within ${entry.name}`);
  return body;
}

async function* stream(reader: ByteReader, length: number): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0; ) {
    const piece = await reader.some(left);
    if (piece === undefined) throw torn("the stream ended within a file of a segment");
    left -= piece.byteLength;
    yield piece;
  }
}

async function* iterate(pieces: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function* chain(first: Buffer, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}

function checkEnd(lastNames: readonly string[]): void {
  if (lastNames.join() !== LAST_ENTRIES.join()) throw torn(`it ends without ${LAST_ENTRIES.join(" and ")}`);
}
