import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createAliases } from "./aliases.ts";
import { parseJson } from "./json.ts";
import { createCollection, createIndexes, creationOf, indexRequests, untilGreen } from "./make-collection.ts";
import type { QdrantServer } from "./server.ts";
import { fileContent, shardContent } from "./shard-content.ts";
import {
  ALIASES_FILE,
  aliasesFile,
  COLLECTION_SNAPSHOT,
  COLLECTIONS,
  CONFIG_FILE,
  type CollectionFile,
  collectionFile,
} from "./tree-layout.ts";
import { uploadCollection, uploadShard } from "./upload.ts";

export type StoredCollection = { directory: string; file: CollectionFile };

/** Brings the collections of a backup's tree into an empty server. Gives a line for people. */
export async function restoreServer(server: QdrantServer, directory: string, signal: AbortSignal): Promise<string> {
  const found = await readCollections(directory);
  for (const collection of found) await restoreCollection(server, collection, signal);
  const aliases = await readAliases(directory);
  await createAliases(server, aliases, signal);
  await untilGreen(
    server,
    found.map(({ file }) => file.name),
    signal,
  );
  const shards = found.reduce((sum, { file }) => sum + file.shards.length, 0);
  return `${found.length} collections of ${shards} shards restored, ${Object.keys(aliases).length} aliases set`;
}

export async function readAliases(directory: string): Promise<Record<string, string>> {
  return aliasesFile.parse(parseJson(await readFile(join(directory, ALIASES_FILE), "utf8")));
}

/** The collections of a backup's tree, by name. */
export async function readCollections(directory: string): Promise<StoredCollection[]> {
  const found: StoredCollection[] = [];
  for (const entry of await readdir(join(directory, COLLECTIONS), { withFileTypes: true })) {
    const at = join(directory, COLLECTIONS, entry.name);
    const text = await readFile(join(at, CONFIG_FILE), "utf8");
    found.push({ directory: at, file: collectionFile.parse(parseJson(text)) });
  }
  return found;
}

async function restoreCollection(
  server: QdrantServer,
  { directory, file }: StoredCollection,
  signal: AbortSignal,
): Promise<void> {
  const { name, shards } = file;
  await createCollection(server, name, creationOf(file), signal);
  await createIndexes(server, name, indexRequests(file), signal);
  if (file.by === "snapshot" && file.snapshots === undefined) {
    await uploadCollection(server, name, await fileContent(join(directory, COLLECTION_SNAPSHOT)), signal);
    return;
  }
  for (const shard of shards)
    await uploadShard(server, name, shard, await shardContent(directory, file, shard), signal);
}
