import type { Point } from "@stillpoint/contracts/point";
import type { Repository } from "@stillpoint/repository/repository";
import { pointsBefore } from "./points-before.ts";

/** The last proven point of its plan before a point; where none is proven the last whole one. */
export async function lastGood(
  repository: Repository,
  point: Point,
): Promise<{ point: Point; proven: boolean } | undefined> {
  const points = await pointsBefore(repository, point);
  for (const point of points) {
    const verdict = (await repository.proofsOf(point.pointId)).at(-1)?.verdict;
    if (verdict === "pass") return { point, proven: true };
  }
  const [newest] = points;
  return newest === undefined ? undefined : { point: newest, proven: false };
}
