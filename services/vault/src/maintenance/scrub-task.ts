import { problemsOf } from "./damage.ts";
import type { Task } from "./task.ts";

/** Reads on through the data, as far as the budget goes. */
export const scrubTask: Task = async ({ repository, config, clock }, signal) => {
  const { problems, transient, readPacks, readBytes, round, roundPart } = await repository.scrub({
    budgetBytes: config.STILLPOINT_SCRUB_BYTES,
    budgetMs: config.STILLPOINT_SCRUB_MS,
    bytesPerSecond: config.STILLPOINT_SCRUB_BYTES_PER_SECOND,
    monotonicMs: clock.monotonicMs,
    signal,
  });
  const since = round.before === undefined ? "" : `, everything was read since ${round.before.begunAt}`;
  const verdict = problems.length === 0 ? "sound" : `${problems.length} objects damaged`;
  return {
    summary: `${readPacks} packs read to the last byte: ${verdict}; the round is at ${Math.round(roundPart * 100)} %${since}`,
    figures: { readPacks, readBytes, roundPart },
    problems: problemsOf({ problems, transient }),
  };
};
