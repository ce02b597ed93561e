import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { ask } from "./ask.ts";
import { collectionStatuses } from "./optimizations.ts";
import type { QdrantApi, QdrantServer } from "./server.ts";
import type { CollectionFile } from "./tree-layout.ts";

/** After a restore the server may go on to optimize; it answers all the while. */
const GREEN_MS = 300_000;
const POLL_MS = 100;

type Creation = Pick<CollectionFile, "config"> & { shards: { length: number } };

/** Of the source's settings only what the data and its search need: no replicas, no limits of strict mode. */
export function creationOf({ config, shards }: Creation): Record<string, unknown> {
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

/** What a server that is to serve again has besides: its replicas. Limits of strict mode are set last, for they bind us too. */
export function servingCreationOf(file: Creation): Record<string, unknown> {
  const params = Object(file.config.params);
  return withoutNulls({
    ...creationOf(file),
    replication_factor: params.replication_factor,
    write_consistency_factor: params.write_consistency_factor,
  });
}

/** Bodies of the requests that make a collection's payload indexes again. */
export function indexRequests({ payloadSchema }: Pick<CollectionFile, "payloadSchema">) {
  return Object.entries(payloadSchema).map(([field_name, { dataType, params }]) => ({
    field_name,
    field_schema: params ?? dataType,
  }));
}

export function withoutNulls(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(Object(value)).filter(([, each]) => each !== null && each !== undefined));
}

export async function createCollection(
  server: QdrantServer,
  name: string,
  creation: Record<string, unknown>,
  signal: AbortSignal,
): Promise<void> {
  const about = { what: "Cannot make a collection again", where: name, signal };
  // The types of the client are those of what we write; here the server's own answer goes back to a server.
  const body = { collection_name: name, ...creation } as Parameters<QdrantApi["createCollection"]>[0];
  await ask(server, about, z.unknown(), (init) => server.api.createCollection(body, init));
}

export async function createIndexes(
  server: QdrantServer,
  name: string,
  requests: readonly Record<string, unknown>[],
  signal: AbortSignal,
): Promise<void> {
  const about = { what: "Cannot make a collection's payload index again", where: name, signal };
  for (const request of requests) {
    const index = { collection_name: name, wait: true, ...request };
    const sent = index as Parameters<QdrantApi["createFieldIndex"]>[0]; // as above
    await ask(server, about, z.unknown(), (init) => server.api.createFieldIndex(sent, init));
  }
}

/** Limits that bind every client, us too: after everything was loaded and looked at. */
export async function setLimits(
  server: QdrantServer,
  config: Readonly<Record<string, unknown>>,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const limits = config.strict_mode_config;
  if (limits === undefined || limits === null) return;
  const about = { what: "Cannot set a collection's strict mode", where: name, signal };
  const body = { collection_name: name, strict_mode_config: limits } as Parameters<QdrantApi["updateCollection"]>[0]; // as above
  await ask(server, about, z.unknown(), (init) => server.api.updateCollection(body, init));
}

/** Grey is green with optimizations that wait for the next write. */
export async function untilGreen(server: QdrantServer, names: readonly string[], signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(GREEN_MS);
  for (;;) {
    const statuses = await collectionStatuses(server, names, signal);
    if (statuses.every(([, status]) => status === "green" || status === "grey") || limit.aborted) return;
    await delay(POLL_MS, undefined, { signal });
  }
}
