import { glob, realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";

/** A captured path, with symbolic links resolved, and the name that its tree has in the backup. */
export type Root = { path: string; name: string };

const GLOB = /[*?[{]/;

/** What the source's paths name now, globs expanded. Throws SOURCE_UNREACHABLE for a plain path that is not there. */
export async function findRoots(paths: readonly string[]): Promise<Root[]> {
  const found = new Set<string>();
  for (const path of paths) {
    if (GLOB.test(path)) for await (const match of glob(path)) found.add(resolve(match));
    else {
      await assertThere(path);
      found.add(resolve(path));
    }
  }
  const named = nameRoots([...found].sort());
  // A path that is a link itself stands for what it leads to; links below it are kept as links.
  return Promise.all(named.map(async ({ path, name }) => ({ path: await realpath(path), name })));
}

/** A root is named by its last component; where two share it, by its whole path. Pure. */
export function nameRoots(paths: readonly string[]): Root[] {
  const counts = new Map<string, number>();
  for (const path of paths) counts.set(basename(path), (counts.get(basename(path)) ?? 0) + 1);
  return paths.map((path) => {
    const short = basename(path);
    const isAlone = short !== "" && counts.get(short) === 1;
    return { path, name: isAlone ? short : path.slice(1) || "root" };
  });
}

async function assertThere(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    throw new StillpointError("SOURCE_UNREACHABLE", {
      what: "Cannot read a path of the source",
      where: path,
      why: error instanceof Error ? error.message : String(error),
      hint: "check the plan's paths, and that the agent may read them",
      cause: error,
    });
  }
}
