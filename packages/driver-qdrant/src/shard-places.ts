import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import { forEach } from "./for-each.ts";
import type { Peers, QdrantServer } from "./server.ts";

const shardId = z.number().int().nonnegative();
const clusterInfo = z.object({
  result: z.object({
    shard_count: z.number().int().positive(),
    local_shards: z.array(z.object({ shard_id: shardId, state: z.string() })),
    remote_shards: z.array(
      z.object({ shard_id: shardId, peer_id: z.union([z.number(), z.bigint()]), state: z.string() }),
    ),
  }),
});

/** A shard, and the peer that it is read from: one that holds it whole. */
export type ShardPlace = { id: number; peer: QdrantServer };

/** What a peer says of a collection's shards. */
export type Seen = { peer: QdrantServer } & z.infer<typeof clusterInfo>["result"];

export async function seeShards(peers: Peers, name: string, signal: AbortSignal): Promise<Seen[]> {
  const about = { what: "Cannot ask where a collection's shards are", where: name, signal };
  return await forEach(peers, signal, async (peer): Promise<Seen> => {
    const { result } = await ask(peer, about, clusterInfo, (init) =>
      peer.api.collectionClusterInfo({ collection_name: name }, init),
    );
    return { peer, ...result };
  });
}

/** The first peer that has an active replica, of each shard that any has; and how many shards there are. */
export function activePlaces(seen: readonly Seen[]): { places: ShardPlace[]; wanted: number } {
  const places = new Map<number, ShardPlace>();
  for (const { peer, local_shards } of seen) {
    for (const { shard_id: id, state } of local_shards)
      if (state === "Active" && !places.has(id)) places.set(id, { id, peer });
  }
  const wanted = Math.max(...seen.map(({ shard_count }) => shard_count));
  return { places: [...places.values()].sort((a, b) => a.id - b.id), wanted };
}

/**
 * A place for every shard; throws unless the peers that are named hold all of them, alive. So a peer without shards is never
 * taken for one of an empty collection.
 */
export function placeShards(name: string, isCustom: boolean, seen: readonly Seen[]): ShardPlace[] {
  const refuse = (why: string, hint: string) =>
    new StillpointError("SOURCE_UNSUPPORTED", { what: "Cannot back a collection up", where: name, why, hint });
  if (isCustom) {
    throw refuse(
      "its shards have keys of their own, which a restore does not set yet",
      "leave it to a server of its own, or export its points: stillpoint vectors export",
    );
  }
  const { places, wanted } = activePlaces(seen);
  if (places.length === wanted) return places;
  const [first] = seen;
  const elsewhere = (first?.remote_shards ?? [])
    .filter((shard) => !places.some(({ id }) => id === shard.shard_id))
    .map(({ shard_id, peer_id, state }) => `shard ${shard_id} on peer ${peer_id} (${state})`);
  throw refuse(
    `the peers that are named hold ${places.length} of its ${wanted} shards as active replicas` +
      (elsewhere.length === 0 ? "" : `; there is ${elsewhere.join(", ")}`),
    "name every peer of the cluster: its own address, no load balancer, in the source's `peers`",
  );
}
