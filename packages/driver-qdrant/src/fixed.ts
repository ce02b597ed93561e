import type { Mark } from "@stillpoint/contracts/point";
import type { CollectionSnapshot } from "./collection-snapshot.ts";
import type { Inventory } from "./inventory.ts";
import type { MarkDetail } from "./mark-detail.ts";
import type { Neighbours } from "./neighbours.ts";
import type { ShardStream } from "./shard-stream.ts";

/** What a mark fixed: the server's content at one moment, still to be read. */
export type Fixed = {
  inventory: Inventory;
  streams: ShardStream[];
  snapshots: CollectionSnapshot[];
  /** Exact; absent where writers were running. */
  counts?: Record<string, number>;
  neighbours: Neighbours[];
  gateMs: number;
  openMs: number;
  fuzzy?: string;
  notes: string[];
};

export function toMark(cutId: string, fixed: Fixed): Mark {
  const { inventory, streams, snapshots, counts, fuzzy, notes } = fixed;
  const bySnapshot = new Set(snapshots.map(({ collection }) => collection));
  const collections = inventory.collections.map(({ name, shards, payloadSchema }) => [
    name,
    { by: bySnapshot.has(name) ? "snapshot" : "streams", shards: shards.map(({ id }) => id), payloadSchema },
  ]);
  const detail = {
    collections: Object.fromEntries(collections),
    aliases: inventory.aliases,
    neighbours: fixed.neighbours,
    gateMs: Math.round(fixed.gateMs),
    openMs: Math.round(fixed.openMs),
  } satisfies MarkDetail;
  const parts = [
    ...(streams.length > 0 ? [`${plural(streams.length, "shard")} streamed`] : []),
    ...(snapshots.length > 0 ? [plural(snapshots.length, "collection snapshot")] : []),
  ];
  const points = counts === undefined ? "" : `, ${Object.values(counts).reduce((sum, count) => sum + count, 0)} points`;
  return {
    cutId,
    position: `${parts.join(", ") || "no collections"}${points}`,
    detail,
    notes,
    ...(counts === undefined ? {} : { counts }),
    ...(fuzzy === undefined ? {} : { fuzzy }),
  };
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
