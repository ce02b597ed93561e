import { StillpointError } from "@stillpoint/contracts/errors";

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
