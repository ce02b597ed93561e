import type { Mark } from "@stillpoint/contracts/point";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { exactCounts } from "./counts.ts";
import { readInventory } from "./inventory.ts";
import { markDetail } from "./mark-detail.ts";
import { collectionStatuses } from "./optimizations.ts";
import type { Peers } from "./server.ts";
import { compareCounts, compareNeighbours, compareSchemas, compareStatuses } from "./store-checks.ts";

/** Compares collections that were loaded under other names with what the mark says of them. */
export async function* verifyRestored(
  peers: Peers,
  mark: Mark,
  names: ReadonlyMap<string, string>,
  signal: AbortSignal,
): AsyncGenerator<StoreCheckRow> {
  const expected = markDetail.parse(mark.detail);
  const [server] = peers;
  const known = new Map([...names].map(([from, name]) => [name, from]));
  const { collections } = await readInventory(peers, signal, (name) => known.has(name));
  const found = collections.map((each) => ({ ...each, name: known.get(each.name) ?? each.name }));
  const counts = await exactCounts(server, [...names.values()], signal);
  const byOrigin = Object.fromEntries([...names].map(([from, name]) => [from, counts[name] ?? 0]));
  const counted = Object.entries(mark.counts ?? {}).filter(([from]) => names.has(from));
  yield* compareCounts(byOrigin, Object.fromEntries(counted));
  yield* compareSchemas(found, expected);
  yield* compareStatuses(await collectionStatuses(server, [...names.values()], signal));
  yield* compareNeighbours(
    server,
    expected.neighbours.filter(({ collection }) => names.has(collection)),
    signal,
    (from) => names.get(from) ?? from,
  );
}
