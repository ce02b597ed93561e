import { StillpointError } from "@stillpoint/contracts/errors";

/** The system's word for what went wrong, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A full disk as DISK_FULL; everything else as it is. */
export function diskError(error: unknown, where: string): unknown {
  const code = codeOf(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new StillpointError("DISK_FULL", {
    what: "Cannot write to the disk",
    where,
    why: "it is full",
    hint: "free space there, or choose another place",
    cause: error,
  });
}
