import { z } from "zod";
import { objectDamaged } from "./damage.ts";
import { readDocument } from "./documents.ts";
import { NAME_LENGTH } from "./pack-format.ts";

const metadata = {
  path: z.string(),
  mode: z.number().int(),
  uid: z.number().int().optional(),
  gid: z.number().int().optional(),
  mtimeMs: z.number(),
  /** Values in base64. */
  xattrs: z.record(z.string(), z.base64()).optional(),
};

/** One entry of a backup's tar, in its order: what packages/driver makes of a header, as JSON. */
export const treeRecord = z.discriminatedUnion("type", [
  z.object({
    ...metadata,
    type: z.literal("file"),
    size: z.number().int().nonnegative(),
    hint: z.string(),
    offset: z.number().int().nonnegative().optional(),
    identity: z.string().optional(),
    link: z.string().optional(),
    sparse: z.literal(true).optional(),
  }),
  z.object({ ...metadata, type: z.literal("directory") }),
  z.object({ ...metadata, type: z.literal("symlink"), target: z.string() }),
  z.object({ type: z.literal("deleted"), path: z.string() }),
  z.object({ type: z.literal("torn"), path: z.string() }),
]);
export type TreeRecord = z.infer<typeof treeRecord>;

export function bodyLengthOf(record: TreeRecord): number {
  return record.type === "file" ? record.size : 0;
}

/** A piece of a chunk's plain bytes. */
export type Extent = { chunk: Uint8Array; offset: number; length: number };
/** 1 to 255 extents, one after the other: after changes to single pages many. */
export type Block = readonly Extent[];
export const MOST_EXTENTS = 255;

/**
 * A tree is a sequence of these: an entry, then the blocks of its body in as many items as it takes, then, for a file of
 * pages, the chunks that hold the hashes of these.
 */
export type TreeItem =
  | { item: "entry"; entry: TreeRecord }
  | { item: "blocks"; blocks: Block[] }
  | { item: "pageHashes"; chunks: Uint8Array[] };

/** The names of all chunks that an item stands on: what must not be deleted while its backup is kept. */
export function* chunksOf(item: TreeItem): Generator<Uint8Array> {
  if (item.item === "blocks") for (const block of item.blocks) for (const { chunk } of block) yield chunk;
  if (item.item === "pageHashes") yield* item.chunks;
}

const ENTRY = 1;
const BLOCKS = 2;
const PAGE_HASHES = 3;
const ITEM_HEAD = 5;
const EXTENT_LENGTH = NAME_LENGTH + 8;

function withHead(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(ITEM_HEAD);
  head[0] = type;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

export function encodeEntry(entry: TreeRecord): Buffer {
  return withHead(ENTRY, Buffer.from(JSON.stringify(entry), "utf8"));
}

export function encodeBlocks(blocks: readonly Block[]): Buffer {
  const length = blocks.reduce((sum, block) => sum + 1 + block.length * EXTENT_LENGTH, 0);
  const bytes = Buffer.alloc(length);
  let at = 0;
  for (const block of blocks) {
    at = bytes.writeUInt8(block.length, at);
    for (const { chunk, offset, length: extentLength } of block) {
      bytes.set(chunk, at);
      at = bytes.writeUInt32BE(offset, at + NAME_LENGTH);
      at = bytes.writeUInt32BE(extentLength, at);
    }
  }
  return withHead(BLOCKS, bytes);
}

export function encodePageHashes(chunks: readonly Uint8Array[]): Buffer {
  return withHead(PAGE_HASHES, Buffer.concat(chunks));
}

function decodeNames(bytes: Buffer): Uint8Array[] | undefined {
  if (bytes.length % NAME_LENGTH !== 0) return undefined;
  return Array.from({ length: bytes.length / NAME_LENGTH }, (_, i) =>
    bytes.subarray(i * NAME_LENGTH, (i + 1) * NAME_LENGTH),
  );
}

function decodeBlocks(bytes: Buffer): Block[] | undefined {
  const blocks: Block[] = [];
  for (let at = 0; at < bytes.length; ) {
    const count = bytes[at++] ?? 0;
    if (count === 0 || count > MOST_EXTENTS || bytes.length < at + count * EXTENT_LENGTH) return undefined;
    const block: Extent[] = [];
    for (let i = 0; i < count; i++, at += EXTENT_LENGTH)
      block.push({
        chunk: bytes.subarray(at, at + NAME_LENGTH),
        offset: bytes.readUInt32BE(at + NAME_LENGTH),
        length: bytes.readUInt32BE(at + NAME_LENGTH + 4),
      });
    blocks.push(block);
  }
  return blocks;
}

/** The items of one tree chunk: an item never spans two. `object` is the name to blame. */
export function* decodeTreeItems(object: string, bytes: Buffer): Generator<TreeItem> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.length < at + ITEM_HEAD ? Number.POSITIVE_INFINITY : at + ITEM_HEAD + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) throw objectDamaged(object, "its tree is cut short");
    const payload = bytes.subarray(at + ITEM_HEAD, end);
    if (bytes[at] === ENTRY) yield { item: "entry", entry: readDocument(treeRecord, object, payload) };
    else if (bytes[at] === BLOCKS) {
      const blocks = decodeBlocks(payload);
      if (blocks === undefined) throw objectDamaged(object, "its blocks are no blocks");
      yield { item: "blocks", blocks };
    } else if (bytes[at] === PAGE_HASHES) {
      const chunks = decodeNames(payload);
      if (chunks === undefined) throw objectDamaged(object, "its page hashes are no names");
      yield { item: "pageHashes", chunks };
    } else throw objectDamaged(object, `its tree has an item of unknown type ${bytes[at]}`);
    at = end;
  }
}
