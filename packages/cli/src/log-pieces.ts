import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPiece } from "@stillpoint/driver/recover";
import type { HeldClosed, HeldTail } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";

/** A closed stretch as a driver takes it. */
export function closedPiece(
  repository: Pick<Repository, "restoreFiles">,
  { backupId, range }: Pick<HeldClosed, "backupId" | "range">,
  signal: AbortSignal,
): LogPiece {
  const extract = async (directory: string, path?: string) =>
    void (await repository.restoreFiles(backupId, directory, { signal, path }));
  return { type: "closed", range, extract };
}

/** A flush. */
export function tailPiece(
  repository: Pick<Repository, "readTail">,
  { id, range }: Pick<HeldTail, "id" | "range">,
  signal: AbortSignal,
): LogPiece {
  const read = async () => {
    const found = await repository.readTail(id, signal);
    if (found !== undefined) return found.bytes;
    throw new StillpointError("OBJECT_MISSING", {
      what: "A part of the log went away while it was read",
      where: `tails/${id}`,
      hint: "a closed stretch has it by now: restore again",
    });
  };
  return { type: "tail", range, read };
}
