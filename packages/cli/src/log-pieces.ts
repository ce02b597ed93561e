import type { ReadLog } from "@stillpoint/agent/restore-tree";
import { pieceFrom, type StretchReader } from "@stillpoint/agent/stretch-reader";
import { StillpointError } from "@stillpoint/contracts/errors";
import { piecesOf, servePoint } from "@stillpoint/repository/log/point-log";
import type { Serving } from "@stillpoint/repository/log/serve";
import type { SourceLog, SourceOfPlan } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";

/** Where a log is read from: a running vault, or the repository itself. */
export type LogSource = {
  sourceLog: (of: SourceOfPlan) => Promise<SourceLog>;
  stretches: (of: SourceOfPlan) => StretchReader;
  /** These backups are about to be read, one by one. */
  hold?: (backups: readonly string[]) => void;
};

/** What serves, as a driver takes it. */
export function piecesFrom(source: LogSource, of: SourceOfPlan, held: SourceLog, serving: Serving) {
  const { baseRange, pieces } = piecesOf(held, serving);
  source.hold?.([serving.base, ...pieces.flatMap((each) => (each.type === "closed" ? [each.backupId] : []))]);
  const reader = source.stretches(of);
  return { baseRange, log: pieces.map((stretch) => pieceFrom(reader, stretch)) };
}

/** The log that a point rests on. */
export function pointLogFrom(source: LogSource, of: SourceOfPlan): ReadLog {
  return async (rest) => {
    const held = await source.sourceLog(of);
    return piecesFrom(source, of, held, servePoint(held, { ...of, ...rest }));
  };
}

type LogRepository = Pick<Repository, "sourceLog" | "restoreFiles" | "readTail" | "holdForReading">;

/** By the repository itself. `resources`: of whoever reads a log as a whole, and holds it until then. */
export function repositoryLog(
  repository: LogRepository,
  signal: AbortSignal,
  resources?: AsyncDisposableStack,
): LogSource {
  const reader: StretchReader = {
    extract: async (backupId, directory, path) =>
      void (await repository.restoreFiles(backupId, directory, { signal, path })),
    readTail: (id) => tailBytes(repository, id, signal),
  };
  return {
    sourceLog: (of) => repository.sourceLog(of, signal),
    stretches: () => reader,
    hold: (backups) => void resources?.use(repository.holdForReading(backups)),
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
