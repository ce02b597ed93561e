import { mkdir } from "node:fs/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep, TreeLayout } from "@stillpoint/driver/driver";
import { extractTar, type TreeFigures } from "@stillpoint/driver/extract";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";

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

/**
 * Backups of one source, in order, laid over one another in `directory` and put where the store's own recovery accepts
 * them. Needs no store installed. Gives the bytes of the files.
 */
export async function restoreTree(
  directory: string,
  backups: readonly string[],
  mark: Mark,
  ports: Omit<ExtractOptions, "path"> & { extract: Extract; layout: TreeLayout },
): Promise<number> {
  const { extract, layout, keepOwners, refused, progress } = ports;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let bytes = 0;
  for (const [i, backupId] of backups.entries()) {
    const figures = await extract(backupId, directory, { keepOwners, refused, progress, base: i === 0 });
    bytes += figures.bytes;
  }
  const steps: LayoutStep[] = layout(await treeFiles(directory), mark);
  await applyLayout(directory, steps);
  return bytes;
}

/** The bytes as they come, each piece told of. */
export async function* watched(
  stream: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    progress(chunk.byteLength);
    yield chunk;
  }
}
