import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import type { Peers, QdrantServer } from "./server.ts";

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
    remote_shards: z.array(
      z.object({
        shard_id: z.number().int().nonnegative(),
        peer_id: z.union([z.number(), z.bigint()]),
        state: z.string(),
      }),
    ),
  }),
});
const aliasList = z.object({
  result: z.object({ aliases: z.array(z.object({ alias_name: z.string(), collection_name: z.string() })) }),
});

/** Index of a payload field: its type, and its parameters where it has any. */
export type PayloadIndex = { dataType: string; params?: Record<string, unknown> };

/** A shard, and the peer that it is read from: one that holds it whole. */
export type ShardPlace = { id: number; peer: QdrantServer };

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

/** Calls at once: enough to hide their latency, few enough not to be a load. */
const AT_ONCE = 16;

/** `peers` are those of one cluster, or the one server there is; the first answers for all where it does not matter. */
export async function readInventory(peers: Peers, signal: AbortSignal): Promise<Inventory> {
  const [server] = peers;
  const about = { what: "Cannot list what the Qdrant server holds", signal };
  const [list, { result: known }] = await Promise.all([
    ask(server, about, collectionList, (init) => server.api.getCollections({}, init)),
    ask(server, about, aliasList, (init) => server.api.getCollectionsAliases({}, init)),
  ]);
  const collections = await forEach(list.result.collections, signal, ({ name }) => readCollection(peers, name, signal));
  collections.sort((a, b) => (a.name < b.name ? -1 : 1));
  const aliases = Object.fromEntries(known.aliases.map((each) => [each.alias_name, each.collection_name]));
  return { collections, aliases };
}

async function readCollection(peers: Peers, name: string, signal: AbortSignal): Promise<Collection> {
  const [server] = peers;
  const about = { what: "Cannot read a collection's configuration", where: name, signal };
  const [info, seen] = await Promise.all([
    ask(server, about, collectionInfo, (init) => server.api.getCollection({ collection_name: name }, init)),
    forEach(peers, signal, async (peer): Promise<Seen> => {
      const { result } = await ask(peer, about, clusterInfo, (init) =>
        peer.api.collectionClusterInfo({ collection_name: name }, init),
      );
      return { peer, ...result };
    }),
  ]);
  return {
    name,
    config: info.result.config,
    payloadSchema: toPayloadSchema(info.result.payload_schema),
    shards: placeShards(name, info.result.config, seen),
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

/** What a peer says of a collection's shards. */
type Seen = { peer: QdrantServer } & z.infer<typeof clusterInfo>["result"];

/**
 * A place for every shard; throws unless the peers that are named hold all of them, alive. So a peer without shards is never
 * taken for one of an empty collection.
 */
function placeShards(name: string, config: Record<string, unknown>, seen: readonly Seen[]): ShardPlace[] {
  const params = json.catch({}).parse(config.params);
  const refuse = (why: string, hint: string) =>
    new StillpointError("SOURCE_UNSUPPORTED", { what: "Cannot back a collection up", where: name, why, hint });
  if (params.sharding_method === "custom") {
    throw refuse(
      "its shards have keys of their own, which a restore does not set yet",
      "leave it to a server of its own, or export its points: stillpoint vectors export",
    );
  }
  const places = new Map<number, ShardPlace>();
  for (const { peer, local_shards } of seen) {
    for (const { shard_id: id, state } of local_shards)
      if (state === "Active" && !places.has(id)) places.set(id, { id, peer });
  }
  const wanted = Math.max(...seen.map(({ shard_count }) => shard_count));
  if (places.size === wanted) return [...places.values()].sort((a, b) => a.id - b.id);
  const [first] = seen;
  const elsewhere = (first?.remote_shards ?? [])
    .filter((shard) => !places.has(shard.shard_id))
    .map(({ shard_id, peer_id, state }) => `shard ${shard_id} on peer ${peer_id} (${state})`);
  throw refuse(
    `the peers that are named hold ${places.size} of its ${wanted} shards as active replicas` +
      (elsewhere.length === 0 ? "" : `; there is ${elsewhere.join(", ")}`),
    "name every peer of the cluster: its own address, no load balancer, in the source's `peers`",
  );
}

export async function forEach<Item, Result>(
  items: readonly Item[],
  signal: AbortSignal,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  return await Readable.from(items).map(act, { concurrency: AT_ONCE, signal }).toArray({ signal });
}
