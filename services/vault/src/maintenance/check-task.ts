import type { Task } from "./task.ts";

/** Compares what is listed with what is there, and follows every point down to its chunks. */
export const checkTask: Task = async ({ repository }, signal) => {
  const { problems, ...figures } = await repository.check({ signal });
  return {
    summary: `${figures.points} points, ${figures.backups} backups, ${figures.packs} packs: ${
      problems.length === 0 ? "sound" : `${problems.length} problems`
    }`,
    figures,
    problems: problems.map(({ object, why, backups }) => ({
      severity: "damage",
      where: object,
      why: backups.length === 0 ? why : `${why}; hurts ${backups.join(", ")}`,
    })),
  };
};
