import { z } from "zod";
import { ask } from "./ask.ts";
import { forEach } from "./for-each.ts";
import type { Peers, QdrantServer } from "./server.ts";
import { placeShards, type ShardPlace, seeShards } from "./shard-places.ts";

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
  shards: ShardPlace[];
  /** What the server thinks; exact only by accident. */
  points: number;
};

/** What a server holds, but for the points. */
export type Inventory = { collections: Collection[]; aliases: Record<string, string> };

/** `peers` are those of one cluster, or the one server there is; the first answers for all where it does not matter. */
export async function readInventory(
  peers: Peers,
  signal: AbortSignal,
  isWanted: (name: string) => boolean = () => true,
): Promise<Inventory> {
  const [server] = peers;
  const about = { what: "Cannot list what the Qdrant server holds", signal };
  const [list, { result: known }] = await Promise.all([
    ask(server, about, collectionList, (init) => server.api.getCollections({}, init)),
    ask(server, about, aliasList, (init) => server.api.getCollectionsAliases({}, init)),
  ]);
  const wanted = list.result.collections.filter(({ name }) => isWanted(name));
  const collections = await forEach(wanted, signal, ({ name }) => readCollection(peers, name, signal));
  collections.sort((a, b) => (a.name < b.name ? -1 : 1));
  const aliases = Object.fromEntries(known.aliases.map((each) => [each.alias_name, each.collection_name]));
  return { collections, aliases };
}

async function readCollection(peers: Peers, name: string, signal: AbortSignal): Promise<Collection> {
  const [server] = peers;
  const [info, seen] = await Promise.all([readCollectionInfo(server, name, signal), seeShards(peers, name, signal)]);
  const method = json.catch({}).parse(info.config.params).sharding_method;
  return { ...info, shards: placeShards(name, method === "custom", seen) };
}

/** All of it but where its shards are. */
export async function readCollectionInfo(
  server: QdrantServer,
  name: string,
  signal: AbortSignal,
): Promise<Omit<Collection, "shards">> {
  const about = { what: "Cannot read a collection's configuration", where: name, signal };
  const { result } = await ask(server, about, collectionInfo, (init) =>
    server.api.getCollection({ collection_name: name }, init),
  );
  const { config, payload_schema, points_count } = result;
  return { name, config, payloadSchema: toPayloadSchema(payload_schema), points: points_count ?? 0 };
}

function toPayloadSchema(answered: z.infer<typeof collectionInfo>["result"]["payload_schema"]) {
  const entries = Object.entries(answered).map(([field, { data_type: dataType, params }]): [string, PayloadIndex] => [
    field,
    params === null || params === undefined ? { dataType } : { dataType, params },
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
