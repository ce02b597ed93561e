import { randomOf } from "@stillpoint/sample/random";
import { drawKill, drawVictim } from "./draw-kill.ts";
import { judgePoint } from "./judge-point.ts";
import { readBack } from "./read-back.ts";
import { endedByThemselves, type Kill } from "./run-once.ts";
import type { PlanName, SoakedSystem } from "./soaked-system.ts";
import { type Taken, takePoint } from "./take-point.ts";

export type BoundsRound = Taken & {
  round: number;
  kill: Kill | undefined;
  /** That each store holds, if they agree. */
  documents: number;
  takeMs: number;
  readMs: number;
};

export type BoundsOptions = {
  rounds: number;
  seed: number;
  plan: PlanName;
  told: (round: BoundsRound) => void;
};

/**
 * Takes points while the application writes, restores each, and reads it back: for each pair of stores everything that
 * was acknowledged before the fence is there, and nothing that was written after it. In every second round a service is
 * killed in the middle.
 */
export async function bounds(soaked: SoakedSystem, options: BoundsOptions): Promise<BoundsRound[]> {
  const random = randomOf("bounds", options.seed);
  const rounds: BoundsRound[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const kill = round % 2 === 0 ? drawKill(random, drawVictim(random)) : undefined;
    const done = await boundsRound(soaked, options.plan, round, kill);
    options.told(done);
    rounds.push(done);
  }
  return rounds;
}

export async function boundsRound(
  soaked: SoakedSystem,
  plan: PlanName,
  round: number,
  kill: Kill | undefined,
): Promise<BoundsRound> {
  const { monotonicMs } = soaked.world.clock;
  const startedMs = monotonicMs();
  const taken = await takePoint(soaked, plan, kill);
  const takenMs = monotonicMs();
  const violations = [...taken.violations, ...(await endedByThemselves(soaked))];
  let documents = 0;
  if (taken.point !== undefined) {
    const held = await readBack(soaked, taken.point);
    violations.push(...judgePoint(soaked.journal(), taken.point, held));
    documents = [...held.values()][0]?.sequences.size ?? 0;
  }
  const figures = { takeMs: takenMs - startedMs, readMs: monotonicMs() - takenMs };
  return { ...taken, round, kill, documents, violations, ...figures };
}
