import { mkdir } from "node:fs/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep, TreeLayout } from "@stillpoint/driver/driver";
import { extractTar } from "@stillpoint/driver/extract";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";

/**
 * Backups of one source, in order, laid over one another in `directory` and put where the store's own recovery accepts
 * them. Needs no store installed. Gives the bytes that were written.
 */
export async function restoreTree(
  directory: string,
  backups: readonly string[],
  mark: Mark,
  ports: {
    read: (backupId: string) => AsyncIterable<Uint8Array>;
    layout: TreeLayout;
    keepOwners: boolean;
    progress: (bytes: number) => void;
  },
): Promise<number> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let bytes = 0;
  for (const backupId of backups) {
    const figures = await extractTar(watched(ports.read(backupId), ports.progress), directory, {
      keepOwners: ports.keepOwners,
    });
    bytes += figures.bytes;
  }
  const steps: LayoutStep[] = ports.layout(await treeFiles(directory), mark);
  await applyLayout(directory, steps);
  return bytes;
}

async function* watched(
  stream: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    progress(chunk.byteLength);
    yield chunk;
  }
}
