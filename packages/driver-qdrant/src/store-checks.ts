import { isDeepStrictEqual } from "node:util";
import type { Mark } from "@stillpoint/contracts/point";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { exactCounts } from "./counts.ts";
import { type Collection, readInventory } from "./inventory.ts";
import { type MarkDetail, markDetail } from "./mark-detail.ts";
import { findNeighbours, type Neighbours, sameNeighbours } from "./neighbours.ts";
import { collectionStatuses } from "./optimizations.ts";
import type { QdrantServer } from "./server.ts";
import { readVersion } from "./server-version.ts";

/** Grey is green with optimizations that wait for the next write; yellow is not done with them. */
const STATUS_VERDICTS: Record<string, StoreCheckRow["verdict"]> = { green: "pass", grey: "pass", red: "fail" };

/** Compares a restored server with what the mark says of the source. */
export async function* storeChecks(
  server: QdrantServer,
  mark: Mark,
  signal: AbortSignal,
): AsyncGenerator<StoreCheckRow> {
  const expected = markDetail.parse(mark.detail);
  const { version, isDouble } = await readVersion(server, signal);
  yield row("connectivity", true, `${isDouble ? "the test double" : "Qdrant"} ${version} answers`);
  const found = await readInventory([server], signal);
  const names = found.collections.map(({ name }) => name);
  yield compareNames(names, Object.keys(expected.collections).sort());
  yield* compareCounts(await exactCounts(server, names, signal), mark.counts);
  yield* compareSchemas(found.collections, expected);
  yield row(
    "aliases",
    isDeepStrictEqual(found.aliases, expected.aliases),
    describeAliases(found.aliases, expected.aliases),
  );
  yield* compareStatuses(await collectionStatuses(server, names, signal));
  yield* compareNeighbours(server, expected.neighbours, signal);
}

export function* compareStatuses(statuses: readonly [string, string][]): Generator<StoreCheckRow> {
  for (const [name, status] of statuses)
    yield { name: `status ${name}`, verdict: STATUS_VERDICTS[status] ?? "inconclusive", detail: status };
}

function row(name: string, holds: boolean, detail: string): StoreCheckRow {
  return { name, verdict: holds ? "pass" : "fail", detail };
}

function compareNames(found: string[], expected: string[]): StoreCheckRow {
  const missing = expected.filter((name) => !found.includes(name));
  const further = found.filter((name) => !expected.includes(name));
  const wrong = [
    ...missing.map((name) => `${name} is missing`),
    ...further.map((name) => `${name} is not of the point`),
  ];
  return row("collections", wrong.length === 0, wrong.join(", ") || `${found.length}, as at the cut`);
}

export function* compareCounts(
  found: Record<string, number>,
  expected: Record<string, number> | undefined,
): Generator<StoreCheckRow> {
  for (const [name, count] of Object.entries(expected ?? {})) {
    const now = found[name];
    const detail =
      now === count ? `${count} points` : `${now ?? "no"} points, ${count} at the cut${hintFor(now, count)}`;
    yield row(`count ${name}`, now === count, detail);
  }
}

function hintFor(now: number | undefined, count: number): string {
  return (now ?? 0) > count ? ": deleted points came back" : "";
}

export function* compareSchemas(
  collections: readonly Pick<Collection, "name" | "payloadSchema">[],
  expected: MarkDetail,
): Generator<StoreCheckRow> {
  for (const { name, payloadSchema } of collections) {
    const wanted = expected.collections[name]?.payloadSchema ?? {};
    const fields = [...new Set([...Object.keys(wanted), ...Object.keys(payloadSchema)])];
    const differing = fields.filter((field) => !isDeepStrictEqual(payloadSchema[field], wanted[field]));
    const detail = differing.length > 0 ? `differs in ${differing.join(", ")}` : `${fields.length} indexed fields`;
    yield row(`payload schema ${name}`, differing.length === 0, detail);
  }
}

function describeAliases(found: Record<string, string>, expected: Record<string, string>): string {
  const names = [...new Set([...Object.keys(found), ...Object.keys(expected)])].sort();
  const differing = names.filter((alias) => found[alias] !== expected[alias]);
  const differences = differing.map(
    (alias) => `${alias} is ${found[alias] ?? "missing"}, was ${expected[alias] ?? "not there"}`,
  );
  return differences.join("; ") || `${names.length}, as at the cut`;
}

/** `nameOf`: what a collection of the mark is called here. */
export async function* compareNeighbours(
  server: QdrantServer,
  neighbours: readonly Neighbours[],
  signal: AbortSignal,
  nameOf: (collection: string) => string = (collection) => collection,
): AsyncGenerator<StoreCheckRow> {
  const here = neighbours.map((each) => ({ ...each, collection: nameOf(each.collection) }));
  const found = await findNeighbours(server, here, signal);
  const byCollection = Map.groupBy(neighbours, ({ collection }) => collection);
  for (const [name, expected] of byCollection) {
    const differing = expected.filter((each) => {
      const now = found.find(({ collection, point }) => collection === nameOf(name) && point === each.point);
      return now === undefined || !sameNeighbours(each, now);
    });
    const points = differing.map(({ point }) => point).join(", ");
    const detail = points === "" ? `of ${expected.length} points` : `those of ${points} are others than at the cut`;
    yield row(`nearest neighbours ${name}`, differing.length === 0, detail);
  }
}
