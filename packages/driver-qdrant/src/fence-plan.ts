/** How the budget of a mark inside the fence is spent. Pure, for this is where a fence becomes long. */
export type FencePlan = {
  /** The wait for optimizations ends so long after the request. */
  gateMs: number;
  /** What is still busy then may be taken by a classic snapshot, whose answer the application waits for. */
  classicAllowed: boolean;
  /** Everything ends so long after the request, or the cut is given up: the rest is for the answer's way. */
  endMs: number;
};

/** For the answer to travel, of a budget that may be small. */
const ANSWER_SHARE = 0.1;
/** Opening the streams of all shards, of which the slowest measured took 0.3 s. */
const OPEN_SHARE = 0.3;
/** A classic snapshot was measured at 0.15 s and 250 MB/s; a quarter of that speed is planned with. */
const CLASSIC_MS = 300;
const CLASSIC_BYTES_PER_MS = 64_000;

export function fencePlan(budgetMs: number, estimatedBytes: number): FencePlan {
  const endMs = budgetMs * (1 - ANSWER_SHARE);
  const classicMs = CLASSIC_MS + estimatedBytes / CLASSIC_BYTES_PER_MS;
  const classicAllowed = classicMs <= budgetMs / 2;
  return { gateMs: endMs - (classicAllowed ? classicMs : budgetMs * OPEN_SHARE), classicAllowed, endMs };
}

/** What a collection's points weigh, by its configuration: vectors as floats, and a payload of the usual size. */
export function estimateBytes(points: number, params: unknown): number {
  return points * (PAYLOAD_BYTES + 4 * dimensions(Reflect.get(Object(params), "vectors")));
}

const PAYLOAD_BYTES = 512;

/** One unnamed vector is `{size, distance}`; named ones are `{name: {size, distance}}`. */
function dimensions(vectors: unknown): number {
  const size: unknown = Reflect.get(Object(vectors), "size");
  if (typeof size === "number") return size;
  return Object.values(Object(vectors)).reduce<number>((sum, each) => {
    const named: unknown = Reflect.get(Object(each), "size");
    return sum + (typeof named === "number" ? named : 0);
  }, 0);
}
