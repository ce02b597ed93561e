import { glob, realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { isWithin } from "@stillpoint/driver/tree-path";
import { comparePaths } from "./path-order.ts";

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
  const named = nameRoots([...found]);
  // A path that is a link itself stands for what it leads to; links below it are kept as links.
  return Promise.all(named.map(async ({ path, name }) => ({ path: await realpath(path), name })));
}

/**
 * A root is named by its last component; where that would not tell it from another, both by their whole paths, and what then
 * lies within another is in that. In the order of a walk. Pure.
 */
export function nameRoots(paths: readonly string[]): Root[] {
  const whole = (path: string) => path.slice(1) || "root";
  let roots = paths.map((path) => ({ path, name: basename(path) || "root" }));
  for (;;) {
    const clashes = new Set(
      roots.filter((root) => roots.some((other) => other !== root && overlap(root.name, other.name))),
    );
    const named = roots.map((root) => (clashes.has(root) ? { ...root, name: whole(root.path) } : root));
    if (named.every(({ name }, i) => name === roots[i]?.name)) break;
    roots = named;
  }
  return roots
    .filter((root) => !roots.some((other) => other !== root && isWithin(root.name, other.name)))
    .sort((a, b) => comparePaths(a.name, b.name));
}

const overlap = (a: string, b: string) => isWithin(a, b) || isWithin(b, a);

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
