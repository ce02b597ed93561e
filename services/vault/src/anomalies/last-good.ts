import type { Point } from "@stillpoint/contracts/point";
import type { Repository } from "@stillpoint/repository/repository";

/** The last proven point of a plan before a moment; where none is proven the last whole one. */
export async function lastGood(
  repository: Repository,
  plan: string,
  before: string,
): Promise<{ point: Point; proven: boolean } | undefined> {
  const points: Point[] = [];
  for await (const point of repository.points())
    if (point.plan === plan && !point.partial && point.cut.at < before) points.push(point);
  points.sort((a, b) => (a.cut.at < b.cut.at ? 1 : -1));
  for (const point of points) {
    const verdict = (await repository.proofsOf(point.pointId)).at(-1)?.verdict;
    if (verdict === "pass") return { point, proven: true };
  }
  const [newest] = points;
  return newest === undefined ? undefined : { point: newest, proven: false };
}
