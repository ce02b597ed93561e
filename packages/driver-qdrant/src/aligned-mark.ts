import { withinBudget } from "./budget.ts";
import { type Marking, snapshotsOf } from "./fenced-mark.ts";
import type { Fixed } from "./fixed.ts";
import { type Inventory, readInventory } from "./inventory.ts";
import { findNeighbours, sameNeighbours } from "./neighbours.ts";

/** For the answer to travel. */
const ANSWER_SHARE = 0.1;

/**
 * Fixes the server while writers run, by classic snapshots: they carry the log, so no delete is missing. One shard is at
 * one true moment within the request; several are each at their own, and nothing here makes them one.
 */
export async function alignedMark({
  peers,
  keeper,
  probes,
  budgetMs,
  monotonicMs,
  signal: ended,
}: Marking): Promise<Fixed> {
  const began = monotonicMs();
  const [server] = peers;
  return await withinBudget(budgetMs * (1 - ANSWER_SHARE), ended, async (signal, step) => {
    step("listing the collections");
    const inventory = await readInventory(peers, signal);
    const before = await findNeighbours(server, probes, signal);
    step("making a snapshot of every collection");
    const opening = monotonicMs();
    const snapshots = await Promise.all(snapshotsOf(inventory.collections, keeper, signal));
    const openMs = monotonicMs() - opening;
    // Neighbours that a writer changed meanwhile say nothing about the snapshot.
    const after = await findNeighbours(server, probes, signal);
    const steady = before.filter((each) =>
      after.some(
        (other) => other.collection === each.collection && other.point === each.point && sameNeighbours(each, other),
      ),
    );
    const fuzzy = whyFuzzy(inventory, openMs);
    const notes = snapshots.length > 0 ? ["points were not counted: writers were running"] : [];
    return {
      inventory,
      streams: [],
      snapshots,
      neighbours: steady,
      gateMs: opening - began,
      openMs,
      notes,
      ...(fuzzy === undefined ? {} : { fuzzy }),
    };
  });
}

function whyFuzzy({ collections }: Inventory, openMs: number): string | undefined {
  const shards = collections.reduce((sum, each) => sum + each.shards.length, 0);
  if (shards <= 1) return undefined;
  const within = `within ${Math.round(openMs)} ms`;
  return `${shards} shards of ${collections.length} collections, each at a moment of its own ${within}: writers were running`;
}
