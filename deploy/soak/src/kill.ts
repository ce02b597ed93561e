import { setTimeout as wait } from "node:timers/promises";
import type { Point } from "@stillpoint/contracts/point";
import { queryPoints } from "@stillpoint/contracts/queries";
import { randomOf } from "@stillpoint/sample/random";
import { drawKill, shuffled } from "./draw-kill.ts";
import { mixedCuts } from "./judge-point.ts";
import { endedByThemselves, type Kill, type RunEnd, runOnce } from "./run-once.ts";
import type { SoakedSystem } from "./soaked-system.ts";

export type KillRound = { round: number; kill: Kill; end: RunEnd; points: number; violations: string[]; ms: number };

export type KillOptions = { rounds: number; seed: number; told: (round: KillRound) => void };

const REQUEST = { timeoutMs: 10_000, patienceMs: 60_000 };
/** What was sealed is shown after a moment; after this long it never will be. */
const SHOWN_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 200;
const MOST_IN_PAGE = 200;

/**
 * Kills each service in turn, at any moment of a run on all stores. Afterwards nothing sealed is lost, nothing unsealed
 * is shown, the fence is open, the run has ended, and no point mixes two cuts.
 */
export async function kill(soaked: SoakedSystem, options: KillOptions): Promise<KillRound[]> {
  const random = randomOf("kill", options.seed);
  const rounds: KillRound[] = [];
  const { monotonicMs } = soaked.world.clock;
  let sealed: Point[] = [];
  let victims: string[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    if (victims.length === 0)
      victims = shuffled(
        random,
        soaked.system.processes.map(({ name }) => name),
      );
    const killed = drawKill(random, victims.pop() ?? "orchestrator");
    const startedMs = monotonicMs();
    const end = await runOnce(soaked, "all", killed);
    const ms = monotonicMs() - startedMs;
    const now = await Array.fromAsync(soaked.repository.points());
    const violations = [
      ...(end.how === "never ended" ? [end.reason] : []),
      ...(end.how === "finished" && now.every(({ pointId }) => pointId !== end.pointId)
        ? [`the run finished, but its point ${end.pointId} is not in the repository`]
        : []),
      ...lost(sealed, now),
      ...now.flatMap(mixedCuts),
      ...(await damaged(soaked)),
      ...(await wronglyShown(soaked, now)),
      ...(await stillFenced(soaked)),
      ...(await endedByThemselves(soaked)),
    ];
    sealed = now;
    const done = { round, kill: killed, end, points: now.length, violations, ms };
    options.told(done);
    rounds.push(done);
  }
  return rounds;
}

/** What was sealed once is there for ever, as it was. Pure. */
export function lost(before: readonly Point[], now: readonly Point[]): string[] {
  const there = new Map(now.map((point) => [point.pointId, JSON.stringify(point)]));
  return before.flatMap((point) => {
    const found = there.get(point.pointId);
    if (found === undefined) return [`point ${point.pointId} was sealed and is gone`];
    return found === JSON.stringify(point) ? [] : [`point ${point.pointId} is not as it was sealed`];
  });
}

async function damaged({ repository }: SoakedSystem): Promise<string[]> {
  const { problems } = await repository.check();
  return problems.map(({ object, why }) => `${object}: ${why}`);
}

/** The catalog shows the sealed points, all of them after a moment, and at no time another one. */
async function wronglyShown(soaked: SoakedSystem, sealed: readonly Point[]): Promise<string[]> {
  const known = new Set(sealed.map(({ pointId }) => pointId));
  const giveUpMs = soaked.world.clock.monotonicMs() + SHOWN_WITHIN_MS;
  for (;;) {
    const shown = await shownPoints(soaked);
    const invented = shown.filter((pointId) => !known.has(pointId));
    if (invented.length > 0) return invented.map((pointId) => `point ${pointId} is shown and not sealed`);
    const hidden = [...known].filter((pointId) => !shown.includes(pointId));
    if (hidden.length === 0) return [];
    if (soaked.world.clock.monotonicMs() > giveUpMs)
      return hidden.map((each) => `point ${each} is sealed and not shown`);
    await wait(LOOK_EVERY_MS, undefined, { signal: soaked.world.signal });
  }
}

async function shownPoints({ bus }: SoakedSystem): Promise<string[]> {
  const shown: string[] = [];
  for (let before: string | undefined, isFirst = true; isFirst || before !== undefined; isFirst = false) {
    const asked = { limit: MOST_IN_PAGE, ...(before === undefined ? {} : { before }) };
    const { points, next } = await bus.request(queryPoints, {}, asked, REQUEST);
    shown.push(...points.map(({ point }) => point.pointId));
    before = next;
  }
  return shown;
}

/** A fence that nobody released ends by its own expiry, and the application writes again. */
async function stillFenced(soaked: SoakedSystem): Promise<string[]> {
  const { fence } = soaked.sample().status();
  if (fence === null) return [];
  await wait(fence.remainingMs, undefined, { signal: soaked.world.signal });
  const held = soaked.sample().status().fence;
  return held?.fenceId === fence.fenceId ? [`fence ${held.fenceId} is held beyond its expiry`] : [];
}
