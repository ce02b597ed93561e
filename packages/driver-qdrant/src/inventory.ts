import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import type { QdrantServer } from "./server.ts";

const json = z.record(z.string(), z.unknown());

const collectionList = z.object({ result: z.object({ collections: z.array(z.object({ name: z.string() })) }) });
const collectionInfo = z.object({
  result: z.object({
    status: z.string(),
    points_count: z.number().nullish(),
    config: json,
    payload_schema: z.record(z.string(), z.object({ data_type: z.string(), params: json.nullish() })),
  }),
});
const clusterInfo = z.object({
  result: z.object({
    shard_count: z.number().int().positive(),
    local_shards: z.array(z.object({ shard_id: z.number().int().nonnegative(), state: z.string() })),
  }),
});
const aliasList = z.object({
  result: z.object({ aliases: z.array(z.object({ alias_name: z.string(), collection_name: z.string() })) }),
});

/** Index of a payload field: its type, and its parameters where it has any. */
export type PayloadIndex = { dataType: string; params?: Record<string, unknown> };

export type Collection = {
  name: string;
  /** As the server answers it: `params`, `hnsw_config`, `optimizer_config`, … */
  config: Record<string, unknown>;
  payloadSchema: Record<string, PayloadIndex>;
  shards: number[];
  /** What the server thinks; exact only by accident. */
  points: number;
};

/** What a server holds, but for the points. */
export type Inventory = { collections: Collection[]; aliases: Record<string, string> };

/** Calls at once: enough to hide their latency, few enough not to be a load. */
const AT_ONCE = 16;

export async function readInventory(server: QdrantServer, signal: AbortSignal): Promise<Inventory> {
  const about = { what: "Cannot list what the Qdrant server holds", signal };
  const [list, { result: known }] = await Promise.all([
    ask(server, about, collectionList, (init) => server.api.getCollections({}, init)),
    ask(server, about, aliasList, (init) => server.api.getCollectionsAliases({}, init)),
  ]);
  const collections = await forEach(list.result.collections, signal, ({ name }) =>
    readCollection(server, name, signal),
  );
  collections.sort((a, b) => (a.name < b.name ? -1 : 1));
  const aliases = Object.fromEntries(known.aliases.map((each) => [each.alias_name, each.collection_name]));
  return { collections, aliases };
}

async function readCollection(server: QdrantServer, name: string, signal: AbortSignal): Promise<Collection> {
  const about = { what: "Cannot read a collection's configuration", where: name, signal };
  const [info, cluster] = await Promise.all([
    ask(server, about, collectionInfo, (init) => server.api.getCollection({ collection_name: name }, init)),
    ask(server, about, clusterInfo, (init) => server.api.collectionClusterInfo({ collection_name: name }, init)),
  ]);
  return {
    name,
    config: info.result.config,
    payloadSchema: toPayloadSchema(info.result.payload_schema),
    shards: wholeShards(name, info.result.config, cluster.result),
    points: info.result.points_count ?? 0,
  };
}

function toPayloadSchema(answered: z.infer<typeof collectionInfo>["result"]["payload_schema"]) {
  const entries = Object.entries(answered).map(([field, { data_type: dataType, params }]): [string, PayloadIndex] => [
    field,
    params === null || params === undefined ? { dataType } : { dataType, params },
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The ids of all shards; throws unless this one server holds every one of them, alive. */
function wholeShards(name: string, config: Record<string, unknown>, cluster: z.infer<typeof clusterInfo>["result"]) {
  const params = json.catch({}).parse(config.params);
  const refuse = (why: string, hint: string) =>
    new StillpointError("SOURCE_UNSUPPORTED", { what: "Cannot back a collection up", where: name, why, hint });
  if (params.sharding_method === "custom") {
    throw refuse(
      "its shards have keys of their own, which a restore does not set yet",
      "leave it to a server of its own",
    );
  }
  const alive = cluster.local_shards.filter((shard) => shard.state === "Active");
  if (alive.length !== cluster.shard_count) {
    throw refuse(
      `this server holds ${alive.length} of its ${cluster.shard_count} shards as active replicas`,
      "name a server that holds all shards: a cluster's nodes are not put together yet",
    );
  }
  return alive.map((shard) => shard.shard_id).sort((a, b) => a - b);
}

export async function forEach<Item, Result>(
  items: readonly Item[],
  signal: AbortSignal,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  return await Readable.from(items).map(act, { concurrency: AT_ONCE, signal }).toArray({ signal });
}
