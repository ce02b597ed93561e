import type { ReadLog } from "@stillpoint/agent/restore-tree";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPiece } from "@stillpoint/driver/recover";
import { piecesOf, servePoint } from "@stillpoint/repository/log/point-log";
import type { Serving } from "@stillpoint/repository/log/serve";
import type { HeldClosed, HeldTail, SourceLog, SourceOfPlan } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";

/** Where a log is read from: a running vault, or the repository itself. */
export type LogSource = {
  sourceLog: (of: SourceOfPlan) => Promise<SourceLog>;
  /** Lays a closed stretch, or one file of it, over what is in a directory. */
  extractStretch: (of: SourceOfPlan, backupId: string, directory: string, path?: string) => Promise<void>;
  /** The bytes of one flush. */
  readTail: (of: SourceOfPlan, id: string) => Promise<Uint8Array>;
};

/** What serves, as a driver takes it. */
export function piecesFrom(source: LogSource, of: SourceOfPlan, held: SourceLog, serving: Serving) {
  const { baseRange, pieces } = piecesOf(held, serving);
  const log = pieces.map((piece): LogPiece => {
    const { range } = piece;
    if (piece.type === "tail") return { type: "tail", range, read: () => source.readTail(of, piece.id) };
    const extract = (directory: string, path?: string) => source.extractStretch(of, piece.backupId, directory, path);
    return { type: "closed", range, extract };
  });
  return { baseRange, log };
}

/** The log that a point rests on. */
export function pointLogFrom(source: LogSource, of: SourceOfPlan): ReadLog {
  return async (rest) => {
    const held = await source.sourceLog(of);
    return piecesFrom(source, of, held, servePoint(held, { ...of, ...rest }));
  };
}

/** By the repository itself. */
export function repositoryLog(
  repository: Pick<Repository, "sourceLog" | "restoreFiles" | "readTail">,
  signal: AbortSignal,
): LogSource {
  return {
    sourceLog: (of) => repository.sourceLog(of, signal),
    extractStretch: async (_, backupId, directory, path) =>
      void (await repository.restoreFiles(backupId, directory, { signal, path })),
    readTail: (_, id) => tailBytes(repository, id, signal),
  };
}

async function tailBytes(
  repository: Pick<Repository, "readTail">,
  id: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const found = await repository.readTail(id, signal);
  if (found !== undefined) return found.bytes;
  throw new StillpointError("OBJECT_MISSING", {
    what: "A part of the log went away while it was read",
    where: `tails/${id}`,
    hint: "a closed stretch has it by now: restore again",
  });
}

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
  return { type: "tail", range, read: () => tailBytes(repository, id, signal) };
}
