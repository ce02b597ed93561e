import { createHmac, hash } from "node:crypto";
import { type ChunkType, pageBytesOf, TREE_CHUNK } from "./chunk-type.ts";

/** Keys of one epoch that name chunks. */
export type NameKeys = { data: Uint8Array; tree: Uint8Array; pages: Uint8Array };

export const PAGE_HASH_LENGTH = 32;

/** SHA-256 of each page, one after the other; the last page may be shorter. */
export function pageHashes(bytes: Uint8Array, pageBytes: number): Buffer {
  const hashes = Buffer.allocUnsafe(Math.ceil(bytes.length / pageBytes) * PAGE_HASH_LENGTH);
  for (let at = 0, to = 0; at < bytes.length; at += pageBytes, to += PAGE_HASH_LENGTH)
    hashes.set(hash("sha256", bytes.subarray(at, at + pageBytes), "buffer"), to);
  return hashes;
}

/** The name of a chunk of pages with these hashes. */
export function pagesName(keys: NameKeys, type: ChunkType, hashes: Uint8Array): Buffer {
  return createHmac("sha256", keys.pages).update(Uint8Array.of(type)).update(hashes).digest();
}

/** A chunk's name: a keyed hash of its bytes; for pages of the hashes of these, which tell the next backup what changed. */
export function chunkName(keys: NameKeys, type: ChunkType, bytes: Uint8Array): Buffer {
  const pageBytes = pageBytesOf(type);
  if (pageBytes !== undefined) return pagesName(keys, type, pageHashes(bytes, pageBytes));
  return createHmac("sha256", type === TREE_CHUNK ? keys.tree : keys.data)
    .update(bytes)
    .digest();
}
