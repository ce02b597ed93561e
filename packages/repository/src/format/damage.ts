import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { epochName } from "./kinds.ts";

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

/** Of an epoch that was not there when the repository was opened: it was begun since, or the number is damaged. */
export class EpochUnknown extends StillpointError {
  readonly object: string;
  readonly epoch: number;

  constructor(object: string, epoch: number, current: number) {
    super("CONFLICT", {
      what: "Cannot read an object yet",
      where: object,
      why: `it is of key epoch ${epoch}, and this process opened the repository when the newest was ${current}`,
      hint: "open the repository again: restart the process",
    });
    this.object = object;
    this.epoch = epoch;
  }
}

export function epochUnknown(object: string, epoch: number, current: number): StillpointError {
  return epoch <= current ? noSuchEpoch(object, epoch) : new EpochUnknown(object, epoch, current);
}

function noSuchEpoch(object: string, epoch: number): StillpointError {
  return objectDamaged(object, `its key epoch ${epoch} is not in the repository`);
}

/** The failure, or what it is after a look at the storage: an object of an epoch that is nowhere is damaged. */
export async function toldApart(store: ObjectStore, error: unknown): Promise<unknown> {
  if (!(error instanceof EpochUnknown)) return error;
  const { object, epoch } = error;
  return (await store.head(epochName(epoch))) === undefined ? noSuchEpoch(object, epoch) : error;
}
