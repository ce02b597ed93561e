import type { Point } from "@stillpoint/contracts/point";
import type { Repository } from "@stillpoint/repository/repository";

/** Whole points of a point's plan that were cut before it, the newest first. */
export async function pointsBefore(repository: Repository, { plan, cut }: Point): Promise<Point[]> {
  const before: Point[] = [];
  for await (const point of repository.points())
    if (point.plan === plan && !point.partial && point.cut.at < cut.at) before.push(point);
  return before.sort((a, b) => (a.cut.at < b.cut.at ? 1 : -1));
}
