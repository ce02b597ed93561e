import type { Point } from "@stillpoint/contracts/point";
import type { HookManner } from "@stillpoint/sample/gate";
import { fenceOf, judgePoint } from "./judge-point.ts";
import { readBack } from "./read-back.ts";
import { runOnce } from "./run-once.ts";
import type { SoakedSystem } from "./soaked-system.ts";
import { takePoint } from "./take-point.ts";

/** So many writes that some come between any two marks. */
const MANY = { writers: 12, writesPerSecond: 400 };
/** So few that the application is quiet as soon as it is asked, and its fence has time to expire in the middle. */
const FEW = { writers: 1, writesPerSecond: 2 };
const HASTY: HookManner = { manner: "hasty", afterMs: 5 };
const MOST_TRIES = 6;

const NOT_QUIET = "the application says that it did not stay quiet until the release";

/** The proof must notice what a hook that breaks its word does, or it is worth nothing. */
export async function brokenHooks(soaked: SoakedSystem): Promise<{ found: string[]; violations: string[] }> {
  const found = await withDisabledHook(soaked);
  const denied = await withDenyingHook(soaked);
  const hasty = await withHastyHook(soaked);
  return {
    found,
    violations: [
      ...(found.length === 0 ? ["with a hook that stops nobody, nothing was found"] : []),
      ...unlessFuzzy("of an application that said it was not quiet", denied),
      ...unlessFuzzy("whose fence expired in the middle", hasty),
    ],
  };
}

function unlessFuzzy(which: string, { pointId, cut }: Point): string[] {
  if (cut.consistency === "fuzzy" && cut.reasons.includes(NOT_QUIET)) return [];
  return [`point ${pointId}, ${which}, is ${cut.consistency} (${cut.reasons.join("; ")})`];
}

/**
 * What the proof finds where the hook confirms and stops nobody: it must be something, or the proof is worth nothing.
 * A point whose marks happened to fall between two writes is passed over.
 */
export async function withDisabledHook(soaked: SoakedSystem): Promise<string[]> {
  await soaked.restartSample({ manner: "disabled" }, MANY, "quick");
  for (let round = 1; round <= MOST_TRIES; round += 1) {
    const { point } = await takePoint(soaked, "quick");
    // One that promises nothing, because a driver saw what went on, deceives nobody.
    if (point === undefined) continue;
    const found = judgePoint(soaked.journal(), point, await readBack(soaked, point));
    if (found.length > 0) return found;
  }
  return [];
}

/** The point of an application that stops its writers and says at the release that it did not. */
export async function withDenyingHook(soaked: SoakedSystem): Promise<Point> {
  await soaked.restartSample({ manner: "denying" }, FEW, "quick");
  return pointOf(soaked);
}

/** A point during whose cut the application went on before it was released; those where it came too late are passed over. */
export async function withHastyHook(soaked: SoakedSystem): Promise<Point> {
  await soaked.restartSample(HASTY, FEW, "quick");
  for (let round = 1; round <= MOST_TRIES; round += 1) {
    const point = await pointOf(soaked);
    const journal = soaked.journal();
    const fenceId = fenceOf(journal, point);
    if (journal.some((entry) => entry.event === "expired" && entry.fenceId === fenceId)) return point;
  }
  throw new Error(`in ${MOST_TRIES} runs no fence expired between its confirmation and its release`);
}

/** The first run that comes to a point: a hook that breaks its word may void cuts, too. */
async function pointOf(soaked: SoakedSystem): Promise<Point> {
  let reason = "";
  for (let run = 1; run <= MOST_TRIES; run += 1) {
    const end = await runOnce(soaked, "quick");
    const point = end.how === "finished" ? await soaked.repository.point(end.pointId) : undefined;
    if (point !== undefined) return point;
    reason = end.how === "finished" ? `point ${end.pointId} is not in the repository` : end.reason;
  }
  throw new Error(`no point in ${MOST_TRIES} runs: ${reason}`);
}
