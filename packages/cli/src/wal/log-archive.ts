import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pieceFrom } from "@stillpoint/agent/stretch-reader";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPiece } from "@stillpoint/driver/recover";
import { layHistory, laySegment } from "@stillpoint/driver-postgres/archive/lay-file";
import type { Archive } from "@stillpoint/driver-postgres/archive/serve-archive";
import { type ServedLog, servedLog } from "@stillpoint/driver-postgres/archive/served-log";
import { refuseTakenPlaces } from "@stillpoint/driver-postgres/archive/taken-places";
import { BASE_PATH, parseBaseFacts } from "@stillpoint/driver-postgres/base-facts";
import { isWithinJoined, joinedRanges, type SourceLog } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";
import { repositoryLog } from "../log-pieces.ts";

type Of = { plan: string; source: string };

export type ArchiveOptions = {
  signal: AbortSignal;
  /** Of the server that is given the log, where that is known. */
  data?: string | undefined;
  /** A log that makes tablespaces where a server has some is given, too. */
  allowTablespaces: boolean;
};

/** All that is held of a source's log as the files of an archive, which grows. */
export async function logArchive(
  repository: Repository,
  of: Of,
  { signal, data, allowTablespaces }: ArchiveOptions,
): Promise<Archive> {
  const first = await repository.sourceLog(of, signal);
  const segmentBytes = await segmentBytesOf(repository, first, of, signal);
  const read = (log: SourceLog) =>
    servedLog({ stream: "", from: "", to: "" }, piecesIn(repository, of, log, signal), segmentBytes);
  let { files, order } = ordered(read(first));

  return {
    async has(name) {
      if (files.segments.has(name) || files.histories.has(name)) return true;
      ({ files, order } = ordered(read(await repository.sourceLog(of, signal))));
      if (files.segments.has(name) || files.histories.has(name)) return true;
      const later = order.find((each) => each.slice(0, 8) === name.slice(0, 8) && each > name);
      const isSegment = /^[0-9A-F]{24}$/.test(name);
      const isBefore = !isSegment || !order.some((each) => each.slice(0, 8) === name.slice(0, 8) && each < name);
      if (later === undefined || isBefore) return false;
      // Taken for the end of the log, a hole would open the server in the middle of it.
      throw new StillpointError("LOG_GAP", {
        what: "The log has a hole here",
        where: name,
        why: `it is not held, and ${later} behind it is`,
        hint: "stillpoint log shows which moments can be had",
      });
    },
    after(name, count) {
      const place = order.indexOf(name);
      return place === -1 ? [] : order.slice(place + 1, place + 1 + count);
    },
    async fetch(name, directory) {
      const segment = files.segments.get(name);
      if (segment !== undefined) {
        const path = await laySegment(segment, directory, segmentBytes);
        if (!allowTablespaces) await refuseTakenPlaces(await readFile(path), segment.start, data);
        return path;
      }
      const history = files.histories.get(name);
      if (history !== undefined) return await layHistory(history, directory);
      throw new TypeError("unreachable: it was asked whether there is such a file");
    },
  };
}

function ordered(files: ServedLog): { files: ServedLog; order: string[] } {
  return { files, order: [...files.segments.keys()].sort() };
}

/** In the order of their places, each over those before it; what closed stretches hold is not read from tails. */
function piecesIn(repository: Repository, of: Of, { closed, tails }: SourceLog, signal: AbortSignal): LogPiece[] {
  const reader = repositoryLog(repository, signal).stretches(of);
  const joined = joinedRanges(closed.map(({ range }) => range));
  const pieces = [
    ...closed.map((each) => pieceFrom(reader, { type: "closed", ...each })),
    ...tails
      .filter(({ range }) => !isWithinJoined(joined, range))
      .map((each) => pieceFrom(reader, { type: "tail", ...each })),
  ];
  const key = ({ range: { stream, from, to } }: LogPiece) => `${stream} ${from} ${to}`;
  return pieces.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

async function segmentBytesOf(repository: Repository, log: SourceLog, of: Of, signal: AbortSignal): Promise<number> {
  const newest = log.fulls.toSorted((a, b) => a.storedMs - b.storedMs).at(-1);
  if (newest === undefined)
    throw new StillpointError("LOG_GAP", {
      what: "There is no log to be given",
      where: `${of.plan}/${of.source}`,
      why: "the repository has no base of it",
      hint: "a log is of use from its first base on: take a point",
    });
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-wal-"));
  try {
    await repository.restoreFiles(newest.backupId, directory, { path: BASE_PATH, signal });
    return parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8")).segmentBytes;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
