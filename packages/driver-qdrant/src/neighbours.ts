import { z } from "zod";
import { ask, statusOf } from "./ask.ts";
import { forEach } from "./for-each.ts";
import type { Collection } from "./inventory.ts";
import { idFromText, pointId, sendable } from "./point-id.ts";
import type { QdrantServer } from "./server.ts";

/** A point whose nearest points are asked for: at capture, and of the restored server. */
export const probe = z.object({
  collection: z.string(),
  point: z.string(),
  /** Name of the vector; absent for the unnamed one. */
  using: z.string().optional(),
});
export type Probe = z.infer<typeof probe>;

export const neighbours = probe.extend({ found: z.array(z.object({ id: z.string(), score: z.number() })) });
export type Neighbours = z.infer<typeof neighbours>;

/** Points asked of a collection, and of all of them together; neighbours asked of a point. */
const PROBES_EACH = 3;
const PROBES_IN_ALL = 24;
const LIMIT = 10;

const scrolled = z.object({ result: z.object({ points: z.array(z.object({ id: pointId })) }) });
const queried = z.object({ result: z.object({ points: z.array(z.object({ id: pointId, score: z.number() })) }) });

/** Points with a vector to search by. The first of a collection: what is written meanwhile is mostly newer. */
export async function chooseProbes(
  server: QdrantServer,
  collections: readonly Collection[],
  signal: AbortSignal,
): Promise<Probe[]> {
  const chosen = await forEach(collections, signal, async ({ name, config }): Promise<Probe[]> => {
    const vector = searchable(config.params);
    if (vector === undefined) return [];
    const about = { what: "Cannot read a collection's points", where: name, signal };
    const request = {
      collection_name: name,
      limit: PROBES_EACH,
      with_payload: false,
      with_vector: false,
      ...(vector === "" ? {} : { filter: { must: [{ has_vector: vector }] } }),
    };
    const { result } = await ask(server, about, scrolled, (init) => server.api.scrollPoints(request, init));
    const using = vector === "" ? {} : { using: vector };
    return result.points.map(({ id }) => ({ collection: name, point: String(id), ...using }));
  });
  return chosen.flat().slice(0, PROBES_IN_ALL);
}

/** The vector to search by: the unnamed one (""), else the first named one, else the first sparse one. */
function searchable(params: unknown): string | undefined {
  const vectors = Object(Reflect.get(Object(params), "vectors"));
  if (typeof Reflect.get(vectors, "size") === "number") return "";
  const sparse = Object(Reflect.get(Object(params), "sparse_vectors"));
  return [...Object.keys(vectors).sort(), ...Object.keys(sparse).sort()][0];
}

/**
 * The nearest points by exact search over the vectors as they were given. A point that is gone is left out. `hear` is told
 * of each as it is found.
 */
export async function findNeighbours(
  server: QdrantServer,
  probes: readonly Probe[],
  signal: AbortSignal,
  hear: (found: Neighbours) => void = () => undefined,
): Promise<Neighbours[]> {
  const found = await forEach(probes, signal, async (each): Promise<Neighbours[]> => {
    const about = { what: "Cannot search a collection", where: each.collection, signal };
    const request = {
      collection_name: each.collection,
      query: sendable(idFromText(each.point)),
      ...(each.using === undefined ? {} : { using: each.using }),
      params: { exact: true, quantization: { ignore: true } },
      limit: LIMIT,
      with_payload: false,
      with_vector: false,
    };
    try {
      const { result } = await ask(server, about, queried, (init) => server.api.queryPoints(request, init));
      const nearest = { ...each, found: result.points.map(({ id, score }) => ({ id: String(id), score })) };
      hear(nearest);
      return [nearest];
    } catch (error) {
      if (statusOf(error) === 404) return [];
      throw error;
    }
  });
  return found.flat();
}

/** Scores are sums of floats, whose order may differ between two machines. */
const TOLERANCE = 1e-4;

/**
 * Whether two answers show the same neighbourhood: equal scores in order, and the same points but for those that tie with
 * the last one, of which either answer may show any.
 */
export function sameNeighbours(a: Neighbours, b: Neighbours): boolean {
  const near = (x: number, y: number) => Math.abs(x - y) <= TOLERANCE * Math.max(1, Math.abs(x), Math.abs(y));
  if (a.found.length !== b.found.length) return false;
  if (!a.found.every(({ score }, at) => near(score, b.found[at]?.score ?? Number.NaN))) return false;
  const last = a.found.at(-1)?.score ?? 0;
  const inside = new Set(b.found.map(({ id }) => id));
  const isFull = a.found.length === LIMIT;
  return a.found.every(({ id, score }) => inside.has(id) || (isFull && near(score, last)));
}
