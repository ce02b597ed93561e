import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { ask, statusOf } from "./ask.ts";
import { forEach } from "./for-each.ts";
import type { Collection } from "./inventory.ts";
import type { QdrantServer } from "./server.ts";

const optimizationList = z.object({ result: z.object({ running: z.array(z.object({ uuid: z.string() })) }) });
const collectionStatus = z.object({ result: z.object({ status: z.string() }) });

/** What makes a collection's streams lose deletes now: ids of running optimizations, or a status that is not green. */
export type Busy = ReadonlySet<string>;

/** How often the server is asked; a wait in the fence must end soon after the optimization does. */
const POLL_MS = 50;

/**
 * The optimizations that run on a collection. A server before 1.17 has no list of them; its status says whether any runs,
 * at the price that a stream which is open, or a red status, looks the same.
 */
export async function runningOptimizations(server: QdrantServer, name: string, signal: AbortSignal): Promise<Busy> {
  const about = { what: "Cannot ask which optimizations run", where: name, signal };
  try {
    const { result } = await ask(server, about, optimizationList, (init) =>
      server.api.getOptimizations({ collection_name: name }, init),
    );
    return new Set(result.running.map((each) => each.uuid));
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    const status = await readStatus(server, name, signal);
    return status === "green" ? new Set() : new Set([`status ${status}`]);
  }
}

async function readStatus(server: QdrantServer, name: string, signal: AbortSignal): Promise<string> {
  const about = { what: "Cannot ask for a collection's status", where: name, signal };
  const { result } = await ask(server, about, collectionStatus, (init) =>
    server.api.getCollection({ collection_name: name }, init),
  );
  return result.status;
}

/** Each collection with its status: green, yellow, grey or red. */
export async function collectionStatuses(
  server: QdrantServer,
  names: readonly string[],
  signal: AbortSignal,
): Promise<[string, string][]> {
  return await forEach(names, signal, async (name) => [name, await readStatus(server, name, signal)]);
}

/** Those of the optimizations seen at first that still run. One that began later holds no delete from before. */
export function stillRunning(first: Busy, now: Busy): Busy {
  return new Set([...first].filter((each) => now.has(each)));
}

/** A collection on one of its peers: each says only what runs on its own shards. */
type Place = { name: string; peer: QdrantServer };

function placesOf(collections: readonly Pick<Collection, "name" | "shards">[]): Place[] {
  return collections.flatMap(({ name, shards }) =>
    [...new Set(shards.map(({ peer }) => peer))].map((peer) => ({ name, peer })),
  );
}

/**
 * Waits until the optimizations that run now are gone, in every collection. Gives the collections where they are not when
 * `untilMs` of the clock has come: their streams would bring deleted points back.
 */
export async function waitForOptimizations(
  collections: readonly Pick<Collection, "name" | "shards">[],
  { monotonicMs, untilMs, signal }: { monotonicMs: () => number; untilMs: number; signal: AbortSignal },
): Promise<string[]> {
  const at = async (place: Place): Promise<[Place, Busy]> => [
    place,
    await runningOptimizations(place.peer, place.name, signal),
  ];
  const isBusy = ([, busy]: [Place, Busy]) => busy.size > 0;
  let left = (await forEach(placesOf(collections), signal, at)).filter(isBusy);
  while (left.length > 0 && monotonicMs() + POLL_MS <= untilMs) {
    await delay(POLL_MS, undefined, { signal });
    const first = new Map(left);
    const now = await forEach([...first.keys()], signal, at);
    left = now
      .map(([place, busy]): [Place, Busy] => [place, stillRunning(first.get(place) ?? busy, busy)])
      .filter(isBusy);
  }
  return [...new Set(left.map(([{ name }]) => name))];
}
