import { lstat, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { codeOf } from "./disk-error.ts";

/** Moves all that is in a directory over what is in another of the same file system; never through a symbolic link. */
export async function moveOver(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, place] = [join(from, entry.name), join(to, entry.name)];
    if (!entry.isDirectory()) {
      await rename(source, place);
      continue;
    }
    if (!(await isDirectory(place))) await mkdir(place, { mode: (await lstat(source)).mode & 0o777 });
    await moveOver(source, place);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
  if (found === undefined || found.isDirectory()) return found !== undefined;
  throw new StillpointError("PATH_UNSAFE", {
    what: "Refused to lay a log over a restored tree",
    where: path,
    why: "it is not a directory, and nothing is written through it",
  });
}
