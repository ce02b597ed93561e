import { cutVoid, withinBudget } from "./budget.ts";
import type { CollectionSnapshot } from "./collection-snapshot.ts";
import { exactCounts } from "./counts.ts";
import { estimateBytes, fencePlan } from "./fence-plan.ts";
import type { Fixed } from "./fixed.ts";
import { type Collection, type Inventory, readInventory } from "./inventory.ts";
import { findNeighbours, type Neighbours, type Probe } from "./neighbours.ts";
import { waitForOptimizations } from "./optimizations.ts";
import type { Peers, QdrantServer } from "./server.ts";
import { openShardStream, type ShardStream } from "./shard-stream.ts";
import type { SnapshotKeeper } from "./snapshot-keeper.ts";

export type Marking = {
  peers: Peers;
  keeper: SnapshotKeeper;
  probes: readonly Probe[];
  budgetMs: number;
  monotonicMs: () => number;
  signal: AbortSignal;
};

/** Searches must not make the fence longer than the opening of the streams does by itself. */
const SEARCH_MS = 250;

/**
 * Fixes the server while the application is quiet. The gate first: deletes that were acknowledged while an optimization
 * ran are missing from a stream that is opened before it ends. Then all streams at once, done when each is fixed.
 */
export async function fencedMark(marking: Marking): Promise<Fixed> {
  const { peers, budgetMs, monotonicMs, signal: ended } = marking;
  const began = monotonicMs();
  return await withinBudget(fencePlan(budgetMs, 0).endMs, ended, async (signal, step) => {
    step("listing the collections");
    const inventory = await readInventory(peers, signal);
    const names = inventory.collections.map(({ name }) => name);
    const bytes = inventory.collections.reduce((sum, each) => sum + estimateBytes(each.points, each.config.params), 0);
    const plan = fencePlan(budgetMs, bytes);

    step("waiting for optimizations to end and counting points");
    const [counts, busy] = await Promise.all([
      exactCounts(peers[0], names, signal),
      waitForOptimizations(inventory.collections, { monotonicMs, untilMs: began + plan.gateMs, signal }),
    ]);
    const gateMs = monotonicMs() - began;
    if (busy.length > 0 && !plan.classicAllowed) {
      throw cutVoid(`an optimization still runs on ${busy.join(", ")}, and deleted points would come back`);
    }

    step("opening the streams of all shards");
    const opened = await openAll(marking, inventory, new Set(busy), signal);
    const openMs = monotonicMs() - began - gateMs;
    const notes = busy.map(
      (name) => `${name}: taken by a collection snapshot, for an optimization did not end in time`,
    );
    return { inventory, counts, gateMs, openMs, ...opened, notes };
  });
}

/** Streams of all shards, snapshots of the collections that are busy. All of them, or none stays open. */
export async function openAll(
  { peers, keeper, probes }: Marking,
  inventory: Inventory,
  busy: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Pick<Fixed, "streams" | "snapshots" | "neighbours">> {
  const failing = new AbortController();
  const failed = (error: unknown): never => {
    failing.abort(error);
    throw error;
  };
  const all = AbortSignal.any([signal, failing.signal]);
  const shards = inventory.collections
    .filter(({ name }) => !busy.has(name))
    .flatMap(({ name, shards: places }) => places.map(({ id, peer }) => ({ name, id, peer })));
  const opening = shards.map(({ name, id, peer }) => openShardStream(peer, name, id, all).catch(failed));
  const isBusy = inventory.collections.filter(({ name }) => busy.has(name));
  const creating = snapshotsOf(isBusy, keeper, all).map((each) => each.catch(failed));
  const searching = quickNeighbours(peers[0], probes, all).catch(failed);
  const streams = (await Promise.allSettled(opening)).flatMap((each) =>
    each.status === "fulfilled" ? [each.value] : [],
  );
  try {
    const [snapshots, neighbours] = await Promise.all([Promise.all(creating), searching, Promise.all(opening)]);
    return { streams, snapshots, neighbours };
  } catch (error) {
    await closeAll(streams);
    throw failing.signal.reason ?? error;
  }
}

/** One of each collection on each peer that has shards of it. */
export function snapshotsOf(
  collections: readonly Collection[],
  keeper: SnapshotKeeper,
  signal: AbortSignal,
): Promise<CollectionSnapshot>[] {
  return collections.flatMap(({ name, shards }) =>
    [...new Set(shards.map(({ peer }) => peer))].map((peer) => keeper.create(name, peer, signal)),
  );
}

export async function closeAll(streams: readonly ShardStream[]): Promise<void> {
  await Promise.all(streams.map((stream) => stream.close()));
}

/** Those that are found in time, rather than a longer fence. */
async function quickNeighbours(
  server: QdrantServer,
  probes: readonly Probe[],
  signal: AbortSignal,
): Promise<Neighbours[]> {
  const quick = AbortSignal.timeout(SEARCH_MS);
  const found: Neighbours[] = [];
  try {
    await findNeighbours(server, probes, AbortSignal.any([signal, quick]), (each) => found.push(each));
  } catch (error) {
    if (!quick.aborted || signal.aborted) throw error;
  }
  return found;
}
