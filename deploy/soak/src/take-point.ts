import type { Point } from "@stillpoint/contracts/point";
import { type Kill, type RunEnd, runOnce } from "./run-once.ts";
import type { PlanName, SoakedSystem } from "./soaked-system.ts";

export type Taken = {
  /** Absent where there are violations. */
  point: Point | undefined;
  /** Runs that failed and points that promise nothing, with their reasons. */
  before: string[];
  violations: string[];
};

/** A run that a kill met may fail; then it is asked for again, this often. */
const MOST_RUNS = 4;

/** The first point that promises something, of as many runs as it takes. Only after a kill it may take several. */
export async function takePoint(soaked: SoakedSystem, plan: PlanName, kill?: Kill): Promise<Taken> {
  const before: string[] = [];
  for (let run = 1; run <= MOST_RUNS; run += 1) {
    const end = await runOnce(soaked, plan, run === 1 ? kill : undefined);
    const point = end.how === "finished" ? await soaked.repository.point(end.pointId) : undefined;
    if (point !== undefined && promises(point)) return { point, before, violations: [] };
    const reason = reasonOf(end, point);
    before.push(reason);
    const isExcused = kill !== undefined && (end.how === "failed" || point !== undefined);
    if (!isExcused) return { point: undefined, before, violations: [reason] };
  }
  return { point: undefined, before, violations: [`no point in ${MOST_RUNS} runs`] };
}

function promises(point: Point): boolean {
  return point.cut.consistency === "fenced" && !point.partial;
}

function reasonOf(end: RunEnd, point: Point | undefined): string {
  if (end.how !== "finished") return `${end.how}: ${end.reason}`;
  if (point === undefined) return `the run finished, but its point ${end.pointId} is not in the repository`;
  const { cut, partial, skipped } = point;
  const reasons = [...cut.reasons, ...skipped.map(({ source, reason }) => `${source}: ${reason}`)];
  return `${partial ? "partial" : cut.consistency}: ${reasons.join("; ")}`;
}
