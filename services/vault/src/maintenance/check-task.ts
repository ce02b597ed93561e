import { problemsOf } from "./damage.ts";
import type { Task } from "./task.ts";

/** Compares what is listed with what is there, and follows every point down to its chunks. */
export const checkTask: Task = async ({ repository }, signal) => {
  const { problems, transient, ...figures } = await repository.check({ signal });
  const verdict = problems.length === 0 ? "sound" : `${problems.length} objects damaged`;
  return {
    summary: `${figures.points} points, ${figures.backups} backups, ${figures.packs} packs: ${verdict}`,
    figures,
    problems: problemsOf({ problems, transient }),
  };
};
