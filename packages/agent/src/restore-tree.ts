import { mkdir } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import type { Driver, LayoutStep } from "@stillpoint/driver/driver";
import { extractTar, type TreeFigures } from "@stillpoint/driver/extract";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import type { LogPiece } from "@stillpoint/driver/recover";
import { pieceFrom, vaultStretches } from "./stretch-reader.ts";
import type { VaultClient } from "./vault-client.ts";
import { watched } from "./watched.ts";

export type ExtractOptions = {
  /** This file or subtree only. */
  path?: string | undefined;
  keepOwners: boolean;
  /** Told, in words, of what could not be given to files here. */
  refused?: ((what: string) => void) | undefined;
  /** Bytes since the last call. */
  progress: (bytes: number) => void;
};

/** Lays one backup over a directory that exists. `base`: it is the first, and nothing else may stay there. */
export type Extract = (
  backupId: string,
  directory: string,
  options: ExtractOptions & { base: boolean },
) => Promise<TreeFigures>;

/** By the tar that a vault gives. */
export function extractTars(read: (backupId: string, path: string | undefined) => AsyncIterable<Uint8Array>): Extract {
  return (backupId, directory, { path, keepOwners, refused, progress }) =>
    extractTar(watched(read(backupId, path), progress), directory, {
      keepOwners,
      refused,
      ...(path === undefined ? {} : { path }),
    });
}

/** Reads the log that a source of a point rests on; where it came from is the reader's business. */
export type ReadLog = (rest: { base: string; place: LogPosition }) => Promise<{ baseRange: LogRange; log: LogPiece[] }>;

export type RestorePorts = Omit<ExtractOptions, "path"> & {
  extract: Extract;
  driver: Pick<Driver, "kind" | "layout" | "recover">;
  readLog: ReadLog;
  signal: AbortSignal;
};

/**
 * Backups of one source, in order, laid over one another in `directory`, with the log that its mark rests on, and put where the
 * store's own recovery accepts them. Needs no store installed. `bytes`: of the files; `mark`: what a server is started with.
 */
export async function restoreTree(
  directory: string,
  backups: readonly string[],
  mark: Mark,
  ports: RestorePorts,
): Promise<{ bytes: number; mark: Mark }> {
  const { extract, driver, keepOwners, refused, progress } = ports;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let bytes = 0;
  for (const [i, backupId] of backups.entries()) {
    const figures = await extract(backupId, directory, { keepOwners, refused, progress, base: i === 0 });
    bytes += figures.bytes;
  }
  const own = await recovered(directory, backups, mark, ports);
  const steps: LayoutStep[] = driver.layout(await treeFiles(directory), own);
  await applyLayout(directory, steps);
  return { bytes, mark: own };
}

/** The log where the store's recovery finds it; what the point says of itself stays as it was sealed, but for what was found. */
async function recovered(
  directory: string,
  [base]: readonly string[],
  mark: Mark,
  { driver, readLog, signal }: RestorePorts,
): Promise<Mark> {
  if (mark.log === undefined || base === undefined) return mark;
  if (driver.recover === undefined)
    throw new StillpointError("FORMAT_UNKNOWN", {
      what: "Cannot follow the log of this source",
      where: mark.position,
      why: `this program knows no log of a ${driver.kind} source`,
    });
  const { place, target } = mark.log;
  const { baseRange, log } = await readLog({ base, place });
  const input = { directory, base: baseRange, log, target, marked: place, cutId: mark.cutId };
  const { detail, notes } = await driver.recover(input, { signal });
  return { ...mark, detail, notes: [...mark.notes, ...notes] };
}

/** By what a vault gives; `progress`: bytes since the last call. */
export function readVaultLog(
  client: Pick<VaultClient, "getLog" | "getBackup" | "getTail">,
  of: { plan: string; source: string },
  progress: (bytes: number) => void,
): ReadLog {
  const reader = vaultStretches(client, progress);
  return async (rest) => {
    const { baseRange, pieces } = await client.getLog(of, rest);
    return { baseRange, log: pieces.map((stretch) => pieceFrom(reader, stretch)) };
  };
}
