import type { ReadLog } from "@stillpoint/agent/restore-tree";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPiece } from "@stillpoint/driver/recover";
import { piecesOf, type StoredStretch, servePoint } from "@stillpoint/repository/log/point-log";
import type { Serving } from "@stillpoint/repository/log/serve";
import type { SourceLog, SourceOfPlan } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";

/** Where a log is read from: a running vault, or the repository itself. */
export type LogSource = {
  sourceLog: (of: SourceOfPlan) => Promise<SourceLog>;
  /** Lays a closed stretch, or one file of it, over what is in a directory. */
  extractStretch: (of: SourceOfPlan, backupId: string, directory: string, path?: string) => Promise<void>;
  /** The bytes of one flush. */
  readTail: (of: SourceOfPlan, id: string) => Promise<Uint8Array>;
};

/** A stored stretch, as a driver takes it. */
export function pieceFrom(source: LogSource, of: SourceOfPlan, piece: StoredStretch): LogPiece {
  const { range } = piece;
  if (piece.type === "tail") return { type: "tail", range, read: () => source.readTail(of, piece.id) };
  const extract = (directory: string, path?: string) => source.extractStretch(of, piece.backupId, directory, path);
  return { type: "closed", range, extract };
}

/** What serves, as a driver takes it. */
export function piecesFrom(source: LogSource, of: SourceOfPlan, held: SourceLog, serving: Serving) {
  const { baseRange, pieces } = piecesOf(held, serving);
  return { baseRange, log: pieces.map((piece) => pieceFrom(source, of, piece)) };
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
