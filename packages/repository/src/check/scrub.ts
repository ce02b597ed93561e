import { setTimeout as delay } from "node:timers/promises";
import { packIdOf } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { checkBackups } from "./check-backups.ts";
import { judgePacks } from "./check-packs.ts";
import { checkPoints } from "./check-points.ts";
import { packsFrom, readPacks } from "./read-packs.ts";
import { type CheckProgress, type CheckReport, findings } from "./report.ts";
import { endRound, type Round, readRound, writeRound } from "./round.ts";

export type ScrubOptions = {
  /** What one run may read, and how long it may take; the pack that passes one of them is still read. */
  budgetBytes?: number | undefined;
  budgetMs?: number | undefined;
  /** Read no faster, on the average of the run. */
  bytesPerSecond?: number | undefined;
  /** A clock that never goes back. */
  monotonicMs: () => number;
  onProgress?: ((progress: CheckProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};
export type ScrubReport = Pick<CheckReport, "problems" | "transient" | "readPacks" | "readBytes"> & {
  /** How far the round is: all packs with ids up to here were read in it. 0 to 1. */
  roundPart: number;
  round: Round;
};

/**
 * Reads on where the last scrub, or sampled check, ended, until its budget is used up: packs that were damaged first, then
 * those that were read longest ago. What it finds is followed to the points that it hurts.
 */
export async function scrubRepository(context: RepositoryContext, options: ScrubOptions): Promise<ScrubReport> {
  const { budgetBytes = Number.POSITIVE_INFINITY, budgetMs = Number.POSITIVE_INFINITY, signal, monotonicMs } = options;
  const found = findings(context);
  const tell = options.onProgress ?? (() => undefined);
  const begunMs = monotonicMs();
  const sums = { packs: 0, bytes: 0 };
  const gone: string[] = [];
  await context.loader.load(signal);
  const begun = await readRound(context, signal);
  let state = begun;

  const readOne = async (packId: string) => {
    const reads = await readPacks(context, found, [packId], { signal, tell: () => undefined });
    sums.packs += reads.packs;
    sums.bytes += reads.bytes;
    gone.push(...reads.gone);
    tell({ step: "data", done: sums.packs, bytes: sums.bytes });
    const earliestMs = options.bytesPerSecond === undefined ? 0 : (sums.bytes / options.bytesPerSecond) * 1_000;
    const waitMs = begunMs + earliestMs - monotonicMs();
    if (waitMs > 0)
      await delay(Math.min(waitMs, Math.max(0, begunMs + budgetMs - monotonicMs())), undefined, { signal });
  };
  const isUsedUp = () => sums.bytes >= budgetBytes || monotonicMs() - begunMs >= budgetMs;

  const known = begun.damaged.filter((object) => object.startsWith("packs/")).map(packIdOf);
  for (const packId of known) await readOne(packId);
  let isWhole = true;
  for await (const { packId, wrapped } of packsFrom(context, begun.cursor, signal)) {
    if (isUsedUp()) {
      isWhole = false;
      break;
    }
    if (wrapped && state.before === begun.before) state = endRound(state, await context.store.now(signal));
    if (!known.includes(packId)) await readOne(packId);
    state = { ...state, cursor: packId };
  }
  // From the beginning to the end in one run: that was a round too.
  if (isWhole && begun.cursor === "") state = endRound(state, await context.store.now(signal));
  await judgePacks(context, found, gone, signal);
  if (found.problems.size > 0)
    await checkPoints(context, found, await checkBackups(context, found, { signal, tell }), { signal, tell });
  const damaged = [...found.problems.keys()].filter((object) => object.startsWith("packs/"));
  const round = { ...state, damaged };
  await writeRound(context, round);
  return {
    problems: [...found.problems.values()],
    transient: found.transient,
    readPacks: sums.packs,
    readBytes: sums.bytes,
    round,
    roundPart: round.cursor === "" ? 0 : Number.parseInt(round.cursor.slice(0, 8), 16) / 2 ** 32,
  };
}
