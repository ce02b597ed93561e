import { StillpointError } from "@stillpoint/contracts/errors";
import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import type { Task } from "./task.ts";

/** Moves packs that no recent point needs to the classes that their targets name, and back where one does. */
export const tierTask: Task = async ({ repository, targets }, signal) => {
  const problems: MaintenanceProblem[] = [];
  const figures = { targets: 0, moved: 0, movedBytes: 0, thawing: 0 };
  for (const { name, store, storageClasses } of [targets.primary, ...targets.replicas]) {
    if (storageClasses.length === 0) continue;
    try {
      const { moved, waiting } = await repository.replicas.moveClasses(store, storageClasses, { signal });
      figures.targets++;
      figures.moved += moved.length;
      figures.movedBytes += moved.reduce((sum, { size }) => sum + size, 0);
      figures.thawing += waiting.length;
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      problems.push({
        severity: "attention",
        where: name,
        why: error.message,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
  }
  const summary = `${figures.moved} packs moved to another class on ${figures.targets} targets, ${figures.thawing} thawing`;
  return { summary, figures, problems };
};
