import { bytes } from "../figures.ts";
import type { RepositoryKeyOptions } from "../key/key-options.ts";
import { openAllTargets, openOn } from "../open-targets.ts";
import type { World } from "../world.ts";
import { damaged, describeProblems } from "./check.ts";
import { showProgress } from "./show-progress.ts";

export type ScrubCommand = RepositoryKeyOptions & { bytes?: number; for?: number; rate?: number };

/** One run by hand; a running vault does it by itself. */
export async function scrubRepository(world: World, options: ScrubCommand): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openOn(world, targets, targets.primary);
  const progress = showProgress(world);
  const report = await repository.scrub({
    budgetBytes: options.bytes,
    budgetMs: options.for,
    bytesPerSecond: options.rate,
    monotonicMs: world.clock.monotonicMs,
    onProgress: progress.tell,
    signal: world.signal,
  });
  progress.end();
  const { problems, transient, readPacks, readBytes, round, roundPart } = report;
  const since = round.before === undefined ? "" : `; everything was read since ${round.before.begunAt}`;
  if (options.json) world.out(`${JSON.stringify(report, undefined, 2)}\n`);
  else
    world.out(
      `${readPacks} packs read to the last byte, ${bytes(readBytes)}; the round is at ${Math.round(roundPart * 100)} %${since}\n${describeProblems(problems, transient)}`,
    );
  if (problems.length > 0) throw damaged(options.repository, problems.length);
}
