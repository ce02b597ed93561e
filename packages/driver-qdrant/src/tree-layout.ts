import { z } from "zod";
import { payloadIndex } from "./mark-detail.ts";

/** Where a backup keeps what. A collection's name is no safe path, so its folder is a form of it that is. */
export const ALIASES_FILE = "aliases.json";
export const COLLECTIONS = "collections";
export const CONFIG_FILE = "config.json";
export const COLLECTION_SNAPSHOT = "collection.snapshot";

export function collectionFolder(name: string): string {
  return `${COLLECTIONS}/${encodeURIComponent(name).replaceAll(".", "%2E")}`;
}

export function shardSnapshot(shard: number): string {
  return `shard-${shard}.snapshot`;
}

/** Where a cluster's peers each made one of their own shards. */
export function peerSnapshot(at: number): string {
  return `peer-${at}.snapshot`;
}

/** `config.json` of a collection: enough to make it again, empty. */
export const collectionFile = z.object({
  name: z.string(),
  config: z.record(z.string(), z.unknown()),
  payloadSchema: z.record(z.string(), payloadIndex),
  by: z.enum(["streams", "snapshot"]),
  shards: z.array(z.number().int().nonnegative()),
  /** Of a cluster, where one snapshot does not hold all shards: which file has which. */
  snapshots: z
    .array(
      z.object({ file: z.string().regex(/^peer-\d+\.snapshot$/), shards: z.array(z.number().int().nonnegative()) }),
    )
    .exactOptional(),
});
export type CollectionFile = z.infer<typeof collectionFile>;

export const aliasesFile = z.record(z.string(), z.string());
