import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { ask } from "./ask.ts";
import { parseJson } from "./json.ts";
import { collectionStatuses } from "./optimizations.ts";
import { openRequest } from "./raw-request.ts";
import type { QdrantApi, QdrantServer } from "./server.ts";
import {
  ALIASES_FILE,
  aliasesFile,
  COLLECTION_SNAPSHOT,
  COLLECTIONS,
  CONFIG_FILE,
  type CollectionFile,
  collectionFile,
  shardSnapshot,
} from "./tree-layout.ts";

/** After a restore the server may go on to optimize; it answers all the while. */
const GREEN_MS = 300_000;
const POLL_MS = 100;

type Found = { directory: string; file: CollectionFile };

/** Brings the collections of a backup's tree into an empty server. Gives a line for people. */
export async function restoreServer(server: QdrantServer, directory: string, signal: AbortSignal): Promise<string> {
  const found = await readCollections(directory);
  for (const collection of found) await restoreCollection(server, collection, signal);
  const aliases = aliasesFile.parse(parseJson(await readFile(join(directory, ALIASES_FILE), "utf8")));
  const actions = aliasActions(aliases);
  if (actions.length > 0) {
    const about = { what: "Cannot set the aliases", where: Object.keys(aliases).join(", "), signal };
    await ask(server, about, z.unknown(), (init) => server.api.updateAliases({ actions }, init));
  }
  await untilGreen(
    server,
    found.map(({ file }) => file.name),
    signal,
  );
  const shards = found.reduce((sum, { file }) => sum + file.shards.length, 0);
  return `${found.length} collections of ${shards} shards restored, ${actions.length} aliases set`;
}

export function aliasActions(aliases: Record<string, string>) {
  return Object.entries(aliases).map(([alias_name, collection_name]) => ({
    create_alias: { alias_name, collection_name },
  }));
}

/** The collections of a backup's tree, by name. */
export async function readCollections(directory: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const entry of await readdir(join(directory, COLLECTIONS), { withFileTypes: true })) {
    const at = join(directory, COLLECTIONS, entry.name);
    const text = await readFile(join(at, CONFIG_FILE), "utf8");
    found.push({ directory: at, file: collectionFile.parse(parseJson(text)) });
  }
  return found;
}

async function restoreCollection(server: QdrantServer, { directory, file }: Found, signal: AbortSignal): Promise<void> {
  const { name, shards, by } = file;
  const about = { what: "Cannot make a collection again", where: name, signal };
  // The types of the client are those of what we write; here the server's own answer goes back to a server.
  const body = { collection_name: name, ...creationOf(file) } as Parameters<QdrantApi["createCollection"]>[0];
  await ask(server, about, z.unknown(), (init) => server.api.createCollection(body, init));
  for (const request of indexRequests(file)) {
    const index = { collection_name: name, wait: true, ...request };
    const sent = index as Parameters<QdrantApi["createFieldIndex"]>[0]; // as above
    await ask(server, about, z.unknown(), (init) => server.api.createFieldIndex(sent, init));
  }
  const path = `/collections/${encodeURIComponent(name)}`;
  const query = "wait=true&priority=snapshot";
  if (by === "snapshot") {
    await upload(server, `${path}/snapshots/upload?${query}`, join(directory, COLLECTION_SNAPSHOT), name, signal);
    return;
  }
  for (const shard of shards) {
    const at = `${path}/shards/${shard}/snapshots/upload?${query}`;
    await upload(server, at, join(directory, shardSnapshot(shard)), `${name}, shard ${shard}`, signal);
  }
}

/** Of the source's settings only what the data and its search need: no replicas, no limits of strict mode. */
export function creationOf({ config, shards }: CollectionFile): Record<string, unknown> {
  const params = Object(config.params);
  return withoutNulls({
    vectors: params.vectors,
    sparse_vectors: params.sparse_vectors,
    on_disk_payload: params.on_disk_payload,
    shard_number: shards.length,
    hnsw_config: withoutNulls(config.hnsw_config),
    optimizers_config: withoutNulls(config.optimizer_config),
    wal_config: withoutNulls(config.wal_config),
    quantization_config: config.quantization_config,
    metadata: config.metadata,
  });
}

/** Bodies of the requests that make a collection's payload indexes again. */
export function indexRequests({ payloadSchema }: CollectionFile) {
  return Object.entries(payloadSchema).map(([field_name, { dataType, params }]) => ({
    field_name,
    field_schema: params ?? dataType,
  }));
}

function withoutNulls(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(Object(value)).filter(([, each]) => each !== null && each !== undefined));
}

/** The file as the one field of a form, straight from disk. */
async function upload(
  server: QdrantServer,
  path: string,
  file: string,
  where: string,
  signal: AbortSignal,
): Promise<void> {
  const boundary = "stillpoint-snapshot-d5f0a9c6";
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="snapshot"; filename="snapshot.tar"\r\n` +
      "content-type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const { size } = await stat(file);
  const headers = {
    "content-type": `multipart/form-data; boundary=${boundary}`,
    "content-length": String(head.byteLength + size + tail.byteLength),
  };
  const what = "Cannot load a snapshot into the server";
  const response = await openRequest(
    server,
    { what, where, method: "POST", path, headers, signal },
    async (request) => {
      await pipeline(async function* () {
        yield head;
        yield* createReadStream(file);
        yield tail;
      }, request);
    },
  );
  response.resume();
}

/** Grey is green with optimizations that wait for the next write. */
async function untilGreen(server: QdrantServer, names: readonly string[], signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(GREEN_MS);
  for (;;) {
    const statuses = await collectionStatuses(server, names, signal);
    if (statuses.every(([, status]) => status === "green" || status === "grey") || limit.aborted) return;
    await delay(POLL_MS, undefined, { signal });
  }
}
