import { StillpointError } from "@stillpoint/contracts/errors";

/** An object that does not hold what was written. Nothing of it is used. */
export function objectDamaged(object: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("OBJECT_DAMAGED", {
    what: "An object of the repository is damaged",
    where: object,
    why,
    hint: "run a check of the repository to see which backups need it; restore from another point or a replica",
    cause,
  });
}

export function formatUnknown(object: string, version: number): StillpointError {
  return new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read the repository",
    where: object,
    why: `it is written in format version ${version}, and this program knows version 1`,
    hint: "use a newer release of stillpoint",
  });
}

/** A higher epoch than was known when the repository was opened was begun since: that is no damage. */
export function epochUnknown(object: string, epoch: number, current: number): StillpointError {
  if (epoch <= current) return objectDamaged(object, `its key epoch ${epoch} is not in the repository`);
  return new StillpointError("CONFLICT", {
    what: "Cannot read an object yet",
    where: object,
    why: `it is of key epoch ${epoch}, and this process opened the repository when the newest was ${current}`,
    hint: "open the repository again: restart the process",
  });
}
