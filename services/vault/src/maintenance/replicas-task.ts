import { StillpointError } from "@stillpoint/contracts/errors";
import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import { isMeant } from "@stillpoint/repository/replicas/primary";
import { lagOf } from "@stillpoint/repository/replicas/survey";
import type { Task } from "./task.ts";

const HINT = "stillpoint repo status; docs/guide/replicas.md";

/** How far each replica is behind. Copying is done all the time and by itself: this only says where it does not keep up. */
export const replicasTask: Task = async ({ repository, targets, config }, signal) => {
  const problems: MaintenanceProblem[] = [];
  const figures = { replicas: targets.replicas.length, lagObjects: 0, lagBytes: 0, lagMs: 0 };
  for (const { name, store } of targets.replicas)
    try {
      const { objects, bytes, seconds } = lagOf(
        await repository.replicas.survey(store, { withoutPacks: true, signal }),
      );
      figures.lagObjects += objects;
      figures.lagBytes += bytes;
      figures.lagMs = Math.max(figures.lagMs, Math.round(seconds * 1000));
      if (seconds * 1000 > config.STILLPOINT_REPLICA_LAG_LIMIT_MS)
        problems.push({
          severity: "attention",
          where: name,
          why: `it lacks ${objects} objects, the oldest of which the primary has had for ${Math.round(seconds)} s`,
          hint: HINT,
        });
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      problems.push({ severity: "attention", where: name, why: error.message, hint: error.hint ?? HINT });
    }
  const promotion = await repository.replicas.promotion(signal);
  const { name, store } = targets.primary;
  if (promotion !== undefined && !isMeant(promotion, { name, url: store.url }))
    problems.push({
      severity: "attention",
      where: promotion.target,
      why: `${promotion.by} promoted it at ${promotion.at}, and this vault still writes to ${targets.primary.name}`,
      hint: "start the vaults again",
    });
  const summary =
    figures.replicas === 0
      ? "there are no replicas"
      : `${figures.replicas} replicas, ${figures.lagObjects} objects behind`;
  return { summary, figures, problems };
};
