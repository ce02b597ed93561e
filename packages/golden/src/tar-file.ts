import { createReadStream, createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { TreeLayout } from "@stillpoint/driver/driver";
import { extractTar } from "@stillpoint/driver/extract";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";

/** What a driver writes, as a tar in a file: to be stored in a repository, and to be extracted without one. */
export async function tarFile(path: string, write: (tree: TreeWriter) => Promise<void>): Promise<string> {
  const tar = createTarWriter();
  const written = write(tar).then(
    () => tar.end(),
    (error: unknown) => {
      tar.fail(error);
      throw error;
    },
  );
  const [made, stored] = await Promise.allSettled([written, pipeline(tar.stream, createWriteStream(path))]);
  for (const each of [made, stored]) if (each.status === "rejected") throw each.reason;
  return path;
}

/** Tars of a full and what follows it, extracted over one another. */
export async function extractAll(
  tars: readonly AsyncIterable<Uint8Array>[],
  directory: string,
  laidOut?: { layout: TreeLayout; mark: Mark },
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const tar of tars) await extractTar(tar, directory);
  if (laidOut !== undefined) await applyLayout(directory, laidOut.layout(await treeFiles(directory), laidOut.mark));
}

export function readFileStream(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 1 << 20 });
}
