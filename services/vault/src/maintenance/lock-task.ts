import { StillpointError } from "@stillpoint/contracts/errors";
import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import type { Task } from "./task.ts";

/** Extends the locks of what lives on, on every target that is to lock, and brings legal holds in line with holds. */
export const lockTask: Task = async ({ repository, targets }, signal) => {
  const problems: MaintenanceProblem[] = [];
  const figures = { targets: 0, locked: 0, extended: 0, heldPoints: 0, heldObjects: 0 };
  const condemned = await repository.replicas.condemned(signal);
  for (const { name, store, lockMs } of [targets.primary, ...targets.replicas]) {
    if (lockMs === undefined) continue;
    try {
      if ((await store.locks?.available(signal)) !== true) {
        problems.push({
          severity: "attention",
          where: name,
          why: "its objects are to be locked, and object lock is not switched on there",
          hint: "docs/guide/targets.md: object lock",
        });
        continue;
      }
      const { locked, extended } = await repository.replicas.extendLocks(store, lockMs, condemned, signal);
      const { points, held } = await repository.replicas.applyLegalHolds(store, signal);
      figures.targets++;
      figures.locked += locked;
      figures.extended += extended;
      figures.heldPoints = points;
      figures.heldObjects += held;
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
  const summary = `${figures.locked} objects locked on ${figures.targets} targets, ${figures.extended} extended, ${figures.heldObjects} held`;
  return { summary, figures, problems };
};
