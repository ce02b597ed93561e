import { StillpointError } from "@stillpoint/contracts/errors";
import type { PutOptions } from "./object-store.ts";

export function objectExists(where: string): StillpointError {
  return new StillpointError("OBJECT_EXISTS", {
    what: "Did not write an object",
    where,
    why: "one of this name is there already",
  });
}

export function objectMissing(where: string): StillpointError {
  return new StillpointError("OBJECT_MISSING", { what: "Cannot read an object", where, why: "it is not there" });
}

/** A refused delete: the object is there, and stays. */
export function objectRetained(where: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("OBJECT_RETAINED", {
    what: "Did not delete an object",
    where,
    why,
    hint: "nothing is to be done: it can go when the lock ends; a policy that denies deletes must allow them first",
    cause,
  });
}

export function objectCold(where: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("OBJECT_COLD", {
    what: "Cannot read an object yet",
    where,
    why,
    hint: "ask for its thaw and wait: `stillpoint restore --repository … --thaw` does both",
    cause,
  });
}

export function storeUnsupported(where: string, why: string, hint?: string): StillpointError {
  const what = "The object store does not have what was asked of it";
  return new StillpointError("STORE_UNSUPPORTED", { what, where, why, hint });
}

/** For a storage that has neither locks nor classes: what was asked for must not be left out in silence. */
export function assertPlainPut(where: string, { retainUntilMs, storageClass = "standard" }: PutOptions): void {
  if (retainUntilMs !== undefined) throw storeUnsupported(where, "this kind of storage has no object lock");
  if (storageClass !== "standard") throw storeUnsupported(where, "this kind of storage has no storage classes");
}
